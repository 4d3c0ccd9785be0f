"""A sample of stored vectors, with the texts that they may have been made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.database.keys import Key
from ragkit.database.translate import translate_errors
from ragkit.database.types import as_array
from ragkit.migration.migration import Migration
from ragkit.migration.partitions.tree import TREE
from ragkit.migration.rescue.approximated import find_events, is_marked
from ragkit.migration.terms.beside_values import as_column
from ragkit.migration.terms.expression import Expression

SAMPLE_ROWS = 32
BLOCK_ROWS = 20_000
"""Of a larger table, as many are looked at, from whole pages spread over it."""
SHORT_CHARACTERS = 2000
"""Of all texts of a row. Rarer ways are tried with such rows only."""
MAX_COLUMNS = 6
"""Columns whose texts are tried."""
_ESTIMATE = sa.text(f"""{TREE}
    select sum(greatest(reltuples, 0)) from tree join pg_class c using (oid) where c.relkind = 'r'
""")
_TEXT_COLUMNS = sa.text("""
    select a.attname from pg_attribute a join pg_type t on t.oid = a.atttypid
    where a.attrelid = to_regclass(:table) and a.attnum > 0 and not a.attisdropped
      and t.typname in ('text', 'varchar', 'bpchar')
    order by a.attnum
""")


@dataclass(frozen=True)
class VectorSample:
    """`texts`: by column, the texts of the rows; `vectors`: float32 of shape (rows, dimension)."""

    keys: list[str]
    texts: dict[str, list[str]]
    vectors: np.ndarray

    @property
    def is_short(self) -> bool:
        """Whether the texts are short enough to be sent many times."""
        return sum(map(len, chain(*self.texts.values()))) <= SHORT_CHARACTERS * len(self.keys)

    def first(self, rows: int) -> "VectorSample":
        texts = {name: column[:rows] for name, column in self.texts.items()}
        return VectorSample(self.keys[:rows], texts, self.vectors[:rows])

    @property
    def zero_tail(self) -> int:
        """How many dimensions at the end are 0 in every vector."""
        last_used = int(np.flatnonzero(self.vectors.any(axis=0)).max(initial=-1))
        return int(self.vectors.shape[1]) - 1 - last_used


def read_sample(
    engine: sa.Engine,
    table: sa.TableClause | sa.Subquery,
    key: Key,
    column: str,
    texts: Mapping[str, Expression],
    marked: Sequence[int] = (),
    where: Expression | None = None,
) -> VectorSample:
    """Of rows of `where` that hold a vector in `column`, the same ones each time, rows with short
    texts first: every text is sent to every model. NULL texts are read as "". Without vectors that
    a bridge made: `marked` are the events of find_events. Raises DatabaseError.
    """
    with translate_errors("sampling vectors"), engine.connect() as connection:
        source = some_pages(connection, table)
        row = _quoted(source)
        key_text, vector = sa.literal_column(key.text_of(row), sa.Text()), source.c[column]
        # by number: a column of the table may have any name
        sql = (f"{text.of(row)}::text" for text in texts.values())
        columns = [key_text, vector, *(as_column(text, sa.Text()) for text in sql)]
        lengths = (sa.func.coalesce(sa.func.length(c), 0) for c in columns[2:])
        is_long = sum(lengths, start=sa.literal(0)) > SHORT_CHARACTERS
        query = sa.select(*(c.label(f"c{n}") for n, c in enumerate(columns)))
        query = query.where(vector.is_not(None), ~is_marked(marked, key_text, vector))
        if where:
            query = query.where(as_column(where.of(row), sa.Boolean()))
        query = query.order_by(is_long, sa.func.md5(key_text)).limit(SAMPLE_ROWS)
        found: list[Sequence[Any]] = [tuple(row) for row in connection.execute(query)]
    rows = [row for row in found if any((text or "").strip() for text in row[2:])]
    by_column = {name: [row[2 + n] or "" for row in rows] for n, name in enumerate(texts)}
    return VectorSample([row[0] for row in rows], by_column, as_array([row[1] for row in rows]))


def some_pages(
    connection: sa.Connection, table: sa.TableClause | sa.Subquery
) -> sa.TableClause | sa.Subquery | sa.TableSample:
    """The table; of a large one, whole pages with about BLOCK_ROWS rows, always the same ones."""
    if isinstance(table, sa.Subquery):
        return table
    rows = connection.scalar(_ESTIMATE, {"table": _quoted(table)}) or 0
    if rows <= BLOCK_ROWS:
        return table
    share = sa.func.system(100 * BLOCK_ROWS / rows)
    return sa.tablesample(table, share, name=table.name, seed=sa.literal(1))


def sample_old(migration: Migration) -> VectorSample:
    """Of the old column, with the texts of the plan's columns and of the table's others. Raises
    DatabaseError."""
    plan = migration.plan
    with translate_errors("sampling vectors"), migration.engine.connect() as connection:
        names = connection.scalars(_TEXT_COLUMNS, {"table": migration.quoted_table}).all()
        events = find_events(connection, migration)
    terms, content = migration.terms, plan.table.content
    others = [name for name in (plan.table.label, *names) if name in names]
    texts = {content: terms.content} | {
        name: Expression.column(name, "text")
        for name in others
        if name not in (content, *terms.key.names)
    }
    texts = dict(islice(texts.items(), MAX_COLUMNS))
    source: sa.TableClause | sa.Subquery
    if plan.old.is_beside:
        columns = (sa.column(name, sa.Text) for name in {*terms.key.names, *texts})
        source = migration.select(*columns, migration.old_vector).subquery("sampled")
    else:
        vector = sa.column(plan.old.column, migration.old_vector.type)
        source = sa.table(plan.table.name, vector, schema=plan.table.schema_name)
    asked = terms.key, plan.old.column, texts, events, terms.where
    return read_sample(migration.engine, source, *asked)


def _quoted(table: sa.TableClause | sa.Subquery | sa.TableSample) -> str:
    schema = table.schema if isinstance(table, sa.TableClause) else None
    return quote_identifier(*filter(None, (schema, table.name)))

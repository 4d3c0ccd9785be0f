"""The sample: rows of the table, copied into the scratch schema as they are, with their indexes.

Whole blocks where the share has enough of them, which reads no other block of the table; of a
smaller table single rows. No statement takes another lock than that of a SELECT, waits for it
longer than `lock_timeout_ms`, or takes longer than COPY_SECONDS.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import (
    LOCK_NOT_AVAILABLE,
    QUERY_CANCELED,
    sqlstate,
    translate_errors,
)
from ragkit.errors import ConfigError, DatabaseError
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import count_blocks, estimate_rows

MIN_ROWS = 200
"""Fewer rows say little about speed, and next to nothing about two models."""
MIN_BLOCKS = 100
"""Fewer sampled blocks may be all alike."""
COPY_SECONDS = 300
"""Of a statement of the copy: meanwhile no VACUUM removes what has been deleted since."""
_COLUMNS = sa.text("""
    select attname from pg_attribute
    where attrelid = to_regclass(:table) and attnum > 0 and not attisdropped and attgenerated = ''
    order by attnum
""")
_FILLFACTOR = sa.text("""
    select o.option_value::int from pg_class c, pg_options_to_table(c.reloptions) o
    where c.oid = to_regclass(:table) and o.option_name = 'fillfactor'
""")
# pg_get_indexdef names the table with its schema, quoted as by quote_ident.
_INDEXES = sa.text("""
    select replace(replace(pg_get_indexdef(i.indexrelid),
                           format(' ON ONLY %I.%I USING ', n.nspname, c.relname), :on),
                   format(' ON %I.%I USING ', n.nspname, c.relname), :on)
    from pg_index i join pg_class c on c.oid = i.indrelid
    join pg_namespace n on n.oid = c.relnamespace
    where i.indrelid = to_regclass(:table) and i.indisvalid and i.indisready order by i.indexrelid
""")
# A check that is not valid may not hold for rows that are there: then no update of them works.
_CHECKS = sa.text("""
    select format('alter table %s add constraint %I %s', cast(:copy as text), conname,
                  regexp_replace(pg_get_constraintdef(oid), ' NOT VALID$', '') || ' not valid')
    from pg_constraint where conrelid = to_regclass(:table) and contype = 'c'
    and pg_get_constraintdef(oid) !~ ' NOT ENFORCED$' order by oid
""")


@dataclass(frozen=True)
class Sample:
    """`rows` of about `total_rows` were copied, `judged_rows` of them because a judged question
    names them; `blocks`: whole blocks, not single rows."""

    rows: int
    total_rows: int
    judged_rows: int
    blocks: bool

    def facts(self) -> dict[str, str]:
        """As people read it."""
        of = f"{self.rows:,} of about {self.total_rows:,}, {'blocks' if self.blocks else 'rows'}"
        judged = f", {self.judged_rows:,} of judged questions" if self.judged_rows else ""
        return {"rows": f"{of} at random{judged}"}


def require_enough(migration: Migration, share: float) -> int:
    """About how many rows the table has, of those that are migrated. Raises ConfigError where the
    share has too few of them for a comparison, or DatabaseError."""
    with translate_errors("looking at the table"), migration.engine.connect() as connection:
        total = estimate_rows(connection, migration, expanded=False).rows
    if not total:
        raise ConfigError(f"{migration.plan.table.qualified_name} has no row: nothing to rehearse")
    if share < 1 and share * total < MIN_ROWS:
        enough = min(1.0, ceil(1000 * MIN_ROWS / total) / 1000)
        raise ConfigError(
            f"a share of {share:g} gives about {share * total:,.0f} of {total:,} rows, and a "
            f"comparison takes {MIN_ROWS} at least: --share {enough:g} or more; nothing was changed"
        )
    return total


def copy_sample(
    migration: Migration, copied: Migration, share: float, judged: Sequence[str], by_blocks: bool
) -> int:
    """Makes the table of `copied` and fills it: the share, and the rows of the keys `judged`, by
    their text forms, that are not in it. Answers how many came for them. Raises DatabaseError."""
    with _bounded(migration) as connection:
        columns = _create(connection, migration, copied)
        method = "system" if by_blocks else "bernoulli"
        scope = f" where {migration.where}" if migration.where else ""
        names = ", ".join(quote_identifier(name) for name in columns)
        connection.exec_driver_sql(
            f"insert into {copied.quoted_table} ({names}) select {names} "
            f"from {migration.quoted_table} tablesample {method} ({100 * share:.8f}) "
            f"repeatable (1){scope}"
        )
    added = 0
    if judged:
        with _bounded(migration) as connection:
            there = connection.scalars(copied.select(copied.key_text).where(copied.has_key(judged)))
            missing = sorted({*judged} - {*there})
            source = migration.select(*(sa.column(name) for name in columns))
            target = sa.table(
                copied.table.name, *map(sa.column, columns), schema=copied.table.schema
            )
            source = source.where(migration.has_key(missing))
            entry = sa.insert(target).from_select(columns, source)
            added = connection.execute(entry).rowcount if missing else 0
    return added


def index_sample(migration: Migration, copied: Migration) -> int:
    """Every valid index that the table has, on the copy, its checks and statistics; answers the
    rows of the copy. Raises DatabaseError."""
    table, copy = migration.quoted_table, copied.quoted_table
    indexes = {"table": table, "on": f" ON {copy} USING "}
    with translate_errors("indexing the sample"), migration.engine.begin() as connection:
        made = connection.scalars(_INDEXES, indexes).all()
        made += connection.scalars(_CHECKS, {"table": table, "copy": copy}).all()
        for statement in made:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"analyze {copy}")
        count = sa.select(sa.func.count()).select_from(copied.table)
        return connection.scalars(count).one()


def is_by_blocks(migration: Migration, share: float) -> bool:
    """Whether the share has blocks enough to be a sample of them. Raises DatabaseError."""
    with translate_errors("looking at the table"), migration.engine.connect() as connection:
        return count_blocks(connection, migration) * share >= MIN_BLOCKS


def place(migration: Migration, schema: str) -> Migration:
    """The same migration of a table of the same name in another schema."""
    table = migration.plan.table.model_copy(update={"schema_name": schema})
    return replace(migration, plan=migration.plan.model_copy(update={"table": table}))


def _create(connection: sa.Connection, migration: Migration, copied: Migration) -> list[str]:
    """Answers the columns that can be given a value. Defaults and identities would hold on to the
    table's own sequences."""
    table = {"table": migration.quoted_table}
    fill = connection.scalar(_FILLFACTOR, table)
    connection.exec_driver_sql(
        f"create table {copied.quoted_table} (like {migration.quoted_table} including storage "
        "including compression including generated)"
        + (f" with (fillfactor = {fill:d})" if fill else "")
    )
    return list(connection.scalars(_COLUMNS, table))


@contextmanager
def _bounded(migration: Migration) -> Iterator[sa.Connection]:
    """A transaction that waits for nobody, and reads for COPY_SECONDS at most. Raises
    DatabaseError."""
    wait = migration.plan.database.lock_timeout_ms
    with translate_errors("copying the sample"):
        try:
            with migration.engine.begin() as connection:
                connection.exec_driver_sql(f"set local lock_timeout = {wait:d}")
                connection.exec_driver_sql(f"set local statement_timeout = '{COPY_SECONDS:d}s'")
                yield connection
        except DBAPIError as error:
            if reason := _REASONS.get(sqlstate(error) or ""):
                raise DatabaseError(f"copying the sample: {reason}") from None
            raise


_REASONS = {
    QUERY_CANCELED: f"it took {COPY_SECONDS} s, and was ended: take a smaller --share",
    LOCK_NOT_AVAILABLE: "the table was locked by others, even against reading: run it again",
}

"""The index's own share: what approximate search loses against exact search, and what it gains.

Without it, a loss of the index would be blamed on the model. Stored vectors are the questions, so
neither model is called.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from ragkit.comparison.metrics import Interval, interval
from ragkit.contract import Binding
from ragkit.database import plain_errors, quoted
from ragkit.migration.index import OPERATOR_CLASSES
from ragkit.migration.subject import Migration
from ragkit.search import DISTANCES, as_table, column_type, ef_search

QUERIES, FEWEST, SECONDS = 50, 10, 10.0
"""Vectors asked; with exact search over a large table as many as fit into SECONDS."""
EF_SEARCH, PROBES = (10, 20, 40, 80, 160, 320), (1, 2, 5, 10, 20)
SAME = 1e-6

_KIND = sa.text("""
    select m.amname from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_am m on m.oid = c.relam and m.amname in ('hnsw', 'ivfflat')
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
    join pg_opclass o on o.oid = i.indclass[0] and o.opcname like '%' || :operators
    where i.indrelid = to_regclass(:table) and a.attname = :column and i.indisvalid limit 1
""")


@dataclass(frozen=True)
class Point:
    """One way to search one column. `setting` is "exact" or as in "hnsw.ef_search = 40"; `default`
    marks the app's. Recall is against exact search; times are of the search alone, in ms, the
    shorter of two where an index is used."""

    side: str
    column: str
    setting: str
    default: bool
    recall: Interval
    p50_ms: float
    p95_ms: float


def index_share(migration: Migration) -> list[Point]:
    """Both columns, exact search first; exact alone where a column has no valid index. Rows at
    the same distance count as the same, as in ANN-Benchmarks."""
    found = []
    with plain_errors("measuring the index"), migration.engine.connect() as connection:
        for side, binding in (("old", migration.old), ("new", migration.new)):
            found += _measured(connection, migration, side, binding)
            connection.rollback()
    return found


def _measured(
    connection: sa.Connection, migration: Migration, side: str, binding: Binding
) -> list[Point]:
    plan, stored = migration.plan, migration.table.c[binding.column]
    sample = sa.select(stored).where(stored.is_not(None)).order_by(
        sa.func.md5(sa.cast(migration.key, sa.Text))
    )  # fmt: skip
    queries = list(connection.scalars(sample.select_from(migration.table).limit(QUERIES)))
    if not queries:
        return []
    table = quoted(plan.table_schema, plan.table)
    operators = "\\_" + OPERATOR_CLASSES[binding.distance]
    names = {"table": table, "column": binding.column, "operators": operators}
    kind = connection.scalar(_KIND, names)
    _set(connection, enable_indexscan="off", enable_seqscan="on")
    exact, took = _asked(connection, binding, queries, plan.k, SECONDS)
    points = [_point(side, binding.column, "exact", kind is None, exact, exact, took, plan.seed)]
    if kind is None:
        return points
    name, values, default = _settings(kind, plan.k)
    _set(connection, enable_indexscan="on", enable_seqscan="off")
    queries = queries[: len(exact)]
    _asked(connection, binding, queries[:FEWEST], plan.k)  # warm
    for value in values:
        _set(connection, **{name: str(value)})
        near, first = _asked(connection, binding, queries, plan.k)
        took = np.minimum(first, _asked(connection, binding, queries, plan.k)[1])
        setting = f"{name} = {value}"
        points.append(
            _point(side, binding.column, setting, value == default, near, exact, took, plan.seed)
        )
    return points


def _settings(kind: str, k: int) -> tuple[str, list[int], int]:
    """What trades recall for time, the values to try, and the app's own."""
    if kind == "ivfflat":
        return "ivfflat.probes", list(PROBES), 1
    own = ef_search(k)
    return "hnsw.ef_search", sorted({*(ef for ef in EF_SEARCH if ef > k), own}), own


def _set(connection: sa.Connection, **settings: str) -> None:
    """For this transaction alone."""
    for name, value in settings.items():
        connection.execute(sa.select(sa.func.set_config(name, value, True)))


def _asked(
    connection: sa.Connection, binding: Binding, queries: list, k: int, seconds: float = np.inf
) -> tuple[list[np.ndarray], list[float]]:
    """Distances of the k nearest rows, the row itself left out, and times in ms."""
    stored = sa.column(binding.column, column_type(binding.space.dimension))
    found, took, began = [], [], time.perf_counter()
    for vector in queries:
        if len(found) >= FEWEST and time.perf_counter() - began > seconds:
            break
        distance = stored.op(DISTANCES[binding.distance], return_type=sa.Float)(vector)
        query = sa.select(distance).select_from(as_table(binding.table))
        start = time.perf_counter()
        rows = connection.scalars(
            query.where(stored.is_not(None)).order_by(distance).limit(k + 1)
        ).all()
        took.append((time.perf_counter() - start) * 1000)
        found.append(np.array(rows[1:]))
    return found, took


def _point(
    side: str, column: str, setting: str, default: bool,
    found: list[np.ndarray], exact: list[np.ndarray], took: Sequence[float], seed: int,
) -> Point:  # fmt: skip
    recall = [
        (near <= best[-1] + SAME).sum() / len(best) if len(best) else 1.0
        for near, best in zip(found, exact, strict=True)
    ]
    p50, p95 = (float(np.percentile(took, share)) for share in (50, 95))
    return Point(side, column, setting, default, interval(np.array(recall), seed), p50, p95)

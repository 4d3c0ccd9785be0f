"""The canary: the app's own query on the old column, asked rarely, and not of an idle table."""

import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.errors import DatabaseError, DatabaseUnavailable
from ragkit.migration import phases
from ragkit.migration.backfill.throttle.baseline import Baseline
from ragkit.migration.migration import Migration
from ragkit.migration.partitions.tree import TREE
from ragkit.retrieval.search import STATEMENT_MS, nearest

BASELINE_QUERIES, BASELINE_SECONDS = 10, 0.2
"""At most so many, and no further one after so long."""
RECENT = 3
EVERY_SECONDS = 5.0
SHARE = 0.01
"""Of the time that the canary may take: a query that scans the table is asked less often. What was
not taken is left for when the app is slow."""
BUSY_PER_SECOND, BUSY_SECONDS = 0.5, 60.0
"""An app that has not asked so often in any interval of the last minute is idle."""
_SCANS = sa.text(f"""{TREE}
    select sum(pg_stat_get_numscans(i.indexrelid))
    from tree join pg_index i on i.indrelid = tree.oid
    join pg_class c on c.oid = i.indexrelid and c.relkind = 'i'
    join pg_am m on m.oid = c.relam
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where a.attname = :column and i.indisvalid
      and m.amname in ('hnsw', 'ivfflat')
""")


class Canary:
    """A Watch. `ask` returns the query's time in ms; `scans` how often the app's index has been
    used, None where there is none: then the app counts as busy.

    Its baseline, where none is given, is taken when it is first due, while the writes stand still:
    a short backfill is over by then.
    """

    def __init__(
        self,
        ask: Callable[[], float],
        scans: Callable[[], int | None],
        factor: float,
        clock: Callable[[], float] = time.monotonic,
        baseline: Sequence[float] = (),
    ):
        self._ask, self._scans, self._clock = ask, scans, clock
        self._factor = factor
        self._baseline = Baseline(baseline, factor) if baseline else None
        self._asked, self._spent, self._since = 0, 0.0, clock()
        self._due = self._since + EVERY_SECONDS
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._seen_scans, self._looked_at, self._busy_at = scans(), clock(), float("-inf")

    @classmethod
    def of(cls, migration: Migration, factor: float, baseline: Sequence[float] = ()) -> "Canary":
        """Raises DatabaseError."""
        ask = _query(migration)
        return cls(ask, lambda: _scans(migration), factor, baseline=baseline)

    def __call__(self) -> str | None:
        if self._clock() < self._due:
            return None
        if not self._is_busy():
            self._recent.clear()
            self._due = self._clock() + EVERY_SECONDS
            return ""
        if self._baseline is None:
            measured = self._timed(BASELINE_QUERIES)
            self._baseline = Baseline(_warm(measured), self._factor)
            return ""
        [latest] = self._timed(1)
        self._recent.append(latest)
        if latest >= STATEMENT_MS and self._baseline.is_exceeded_by(latest):
            return f"the app's query has not come back in {latest / 1000:.0f} s"
        ms = float(np.median(self._recent))
        if len(self._recent) < RECENT or not self._baseline.is_exceeded_by(ms):
            return ""
        return f"the app's query takes {ms:.0f} ms, and took {self._baseline.ms:.0f}"

    def _timed(self, most: int) -> list[float]:
        """One answer or, if they come soon, up to `most`, in ms."""
        start, measured = self._clock(), [self._ask()]
        while len(measured) < most and self._clock() - start < BASELINE_SECONDS:
            measured.append(self._ask())
        now = self._clock()
        self._spent += now - start
        self._due = max(now + EVERY_SECONDS, self._since + self._spent / SHARE)
        self._asked += len(measured)
        return measured

    def _is_busy(self) -> bool:
        """By the use of the old column's index, without that of this canary."""
        scans, now = self._scans(), self._clock()
        if scans is None or self._seen_scans is None:
            return True
        of_others = scans - self._seen_scans - self._asked
        self._asked = 0
        if of_others > BUSY_PER_SECOND * (now - self._looked_at):
            self._busy_at = now
        self._seen_scans, self._looked_at = scans, now
        return now - self._busy_at < BUSY_SECONDS


def measure_baseline(migration: Migration) -> list[float]:
    """For canaries of processes that will write at once, and find no moment without writes, in ms.
    Raises DatabaseError."""
    ask, start, measured = _query(migration), time.monotonic(), list[float]()
    while len(measured) < BASELINE_QUERIES and time.monotonic() - start < BASELINE_SECONDS:
        measured.append(ask())
    return _warm(measured)


def _warm(measured: list[float]) -> list[float]:
    """Without the first one, which fills caches."""
    return measured[1:] or measured


def _query(migration: Migration) -> Callable[[], float]:
    """Of the old column; after the retirement, of the new one. 0.0 while it holds no vector to ask
    with; the limit of the app's query where it takes longer."""
    is_retired = migration.phase() == phases.RETIRED
    stored = migration.new_vector if is_retired else migration.old_vector
    vectors = migration.select(stored).where(stored.is_not(None))
    with translate_errors("canary"), migration.engine.connect() as connection:
        vector = connection.scalar(vectors.limit(1))
    if vector is None:
        return lambda: 0.0

    def measure() -> float:
        try:
            with translate_errors("canary"), migration.engine.connect() as connection:
                start = time.perf_counter()
                key = migration.terms.key.names
                binding = migration.new if is_retired else migration.old
                nearest(connection, binding, np.array(vector), key, 3, STATEMENT_MS)
                return (time.perf_counter() - start) * 1000
        except DatabaseUnavailable:
            raise
        except DatabaseError:
            return float(STATEMENT_MS)

    return measure


def _scans(migration: Migration) -> int | None:
    names = {"table": migration.quoted_table, "column": migration.plan.old.column}
    with translate_errors("canary"), migration.engine.connect() as connection:
        scans = connection.scalar(_SCANS, names)
    return None if scans is None else int(scans)

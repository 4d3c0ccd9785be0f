"""How much: rows, requests, tokens, money, minutes, disk and write-ahead log."""

from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.migration.inspection.cost import CostEstimate, estimate_cost
from ragkit.migration.inspection.inventory import TextStatistics, text_statistics
from ragkit.migration.migration import Migration
from ragkit.migration.preview.trial import Trial, run_trial

PAGE_BYTES = 8192
_HEAP = sa.text("select pg_relation_size(to_regclass(:table))")


@dataclass(frozen=True)
class Figures:
    """`rows` get a vector. Minutes are those of the backfill and of the index build. Bytes: `table`
    is the new column, and what the updates leave behind in the table until rows fill it again;
    `wal` is without the full page images after a checkpoint."""

    rows: int
    requests: int
    tokens: int
    usd: float
    price_as_of: str
    backfill_minutes: float
    index_minutes: float
    table_bytes: int
    index_bytes: int
    wal_bytes: int

    @property
    def minutes(self) -> float:
        return self.backfill_minutes + self.index_minutes

    @property
    def disk_bytes(self) -> int:
        return self.table_bytes + self.index_bytes


@dataclass(frozen=True)
class Measured:
    """What the figures are made of."""

    figures: Figures
    texts: TextStatistics
    cost: CostEstimate


def measure(migration: Migration, embedder: Embedder) -> Measured:
    """Reads the table, embeds a few texts, and writes a temporary table; changes nothing.

    Raises ModelError or DatabaseError.
    """
    texts, cost = text_statistics(migration, embedder), estimate_cost(migration, embedder)
    trial = run_trial(migration)
    with translate_errors("measuring the table"), migration.engine.connect() as connection:
        heap = connection.scalar(_HEAP, {"table": migration.quoted_table}) or 0
    return Measured(_figures(migration, texts.rows, heap, cost, trial), texts, cost)


def _figures(
    migration: Migration, rows: int, heap: int, cost: CostEstimate, trial: Trial
) -> Figures:
    written = cost.rows
    bytes_a_row = heap / rows if rows else 0.0
    column, index = trial.column_bytes * written, trial.index_bytes * rows
    # Of a page that is full, the first row has to move; then each makes room for the next one.
    left_behind = min(1.0, bytes_a_row / PAGE_BYTES) * bytes_a_row * written
    write_minutes = written * trial.row_seconds / 60
    return Figures(
        rows=written,
        requests=cost.requests,
        tokens=cost.tokens,
        usd=cost.usd,
        price_as_of=cost.price_as_of,
        backfill_minutes=round(max(cost.minutes, write_minutes), 4),
        index_minutes=round(trial.seconds_for(rows) / 60, 4),
        table_bytes=round(column + left_behind),
        index_bytes=round(index),
        wal_bytes=round(column + written * bytes_a_row + index),
    )

"""How much: rows, requests, tokens, money, minutes, disk and write-ahead log."""

from dataclasses import dataclass

from ragkit.embedding.embedder import Embedder
from ragkit.migration.inspection.cost import CostEstimate, estimate_cost
from ragkit.migration.inspection.inventory import TextStatistics, text_statistics
from ragkit.migration.migration import Migration
from ragkit.migration.preview.placements import Cost
from ragkit.migration.preview.trial import Trial, run_trial


@dataclass(frozen=True)
class Figures:
    """`rows` get a vector. Minutes are those of the backfill and of the index build. Bytes: `table`
    is the new column, and what the updates leave behind in the table until rows fill it again, or
    the side table; `wal` is without the full page images after a checkpoint."""

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
    trial: Trial


def measure(migration: Migration, embedder: Embedder) -> Measured:
    """Reads the table, embeds a few texts, and writes copies of a few rows, which are rolled back;
    changes nothing.

    Raises ModelError or DatabaseError.
    """
    texts, cost = text_statistics(migration, embedder), estimate_cost(migration, embedder)
    trial = run_trial(migration)
    return Measured(_figures(migration, texts.rows, cost, trial), texts, cost, trial)


def backfill_minutes(cost: CostEstimate, trial: Trial, placement: Cost) -> float:
    """Of the model or of the database, whichever takes longer: they work at the same time."""
    return max(cost.minutes, cost.rows * (trial.read_seconds + placement.seconds) / 60)


def _figures(migration: Migration, rows: int, cost: CostEstimate, trial: Trial) -> Figures:
    placement, index = trial.placements.of(migration), trial.index_bytes * rows
    return Figures(
        rows=cost.rows,
        requests=cost.requests,
        tokens=cost.tokens,
        usd=cost.usd,
        price_as_of=cost.price_as_of,
        backfill_minutes=round(backfill_minutes(cost, trial, placement), 4),
        index_minutes=round(trial.seconds_for(rows) / 60, 4),
        table_bytes=round(placement.disk_bytes * cost.rows),
        index_bytes=round(index),
        wal_bytes=round(placement.wal_bytes * cost.rows + index),
    )

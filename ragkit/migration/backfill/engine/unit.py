"""A unit of work, in the process that does it: some seconds of claimed ranges of heap blocks.

A range is claimed where its rows are embedded, and not by the process that hands the work out: a
claim ends with its worker, so that nobody works on a range for somebody who is gone.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ragkit.embedding.embedder import Embedder
from ragkit.migration.backfill.filling import Filling
from ragkit.migration.migration import Migration
from ragkit.migration.progress.completion import start_pass
from ragkit.retry import retry_database

UNIT_SECONDS = 15.0
"""No range is claimed later. A process without a driver ends soon after it; at the end of a unit,
requests run out, which costs less the rarer it is."""


@dataclass(frozen=True)
class Done:
    """`landed` rows were written. `is_last`: no range was left to claim."""

    landed: int
    is_last: bool


def work(
    migration: Migration,
    embedder: Embedder,
    baseline: Sequence[float] = (),
    seconds: float = UNIT_SECONDS,
) -> Done:
    """`baseline`: how long the app's query took before any process wrote, in ms.

    Raises as run_backfill; what was written stays.
    """
    until = time.monotonic() + seconds
    filling = Filling(migration, embedder, baseline=baseline)
    with filling.open(filling.steered_as(migration, follows=False)):
        last = retry_database(start_pass, migration)
        landed = sum(filling.sweep(lambda: time.monotonic() < until))
        is_last = time.monotonic() < until
        landed += sum(filling.empty_queue(last.before))
    filling.record_reused()
    return Done(landed, is_last)

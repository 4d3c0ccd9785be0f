"""Follow: keep embedding what people write, before and after the cut-over.

After the cut-over, and after a rollback too, the old column is kept current as well, as long as
its model can be called: a rollback finds the rows written since, and the app that is back what
the new revision left.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.errors import ModelError
from ragkit.migration import phases
from ragkit.migration.backfill.pipeline import Progress, run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.work import queue
from ragkit.retry import database_until_stopped

POLL_SECONDS = 0.5
"""How often the queue is looked at."""
CATCH_UP_SECONDS = 15.0
"""How often it is noted that nothing is left, without which rows would count as overdue."""
log = logging.getLogger(__name__)


def follow(
    migration: Migration,
    new: Embedder,
    old: Embedder | None,
    stop: threading.Event,
    probe_log: Path | None = None,
) -> Iterator[Progress]:
    """Fills what is pending, waits for more, and repeats until `stop` is set.

    Yields the progress of the new column. Survives a restart of the database. Raises ModelError of
    the new model; an error of the old one is logged, and the status counts what is missing.
    """
    policy = database_until_stopped(stop)
    while not stop.is_set():
        steps, kept = policy(_fill, migration, new, old, probe_log)
        yield from steps
        filled_at = time.monotonic()
        while not stop.wait(POLL_SECONDS) and time.monotonic() - filled_at < CATCH_UP_SECONDS:
            if policy(_has_keys, kept):
                break


def _fill(
    migration: Migration, new: Embedder, old: Embedder | None, probe_log: Path | None
) -> tuple[list[Progress], list[Migration]]:
    """The progress, and the sides whose model can be called: the queue of another one stays."""
    steps, kept = list(run_backfill(migration, new, probe_log=probe_log, wait=False)), [migration]
    if old is None:
        return steps, kept
    if migration.phase() in phases.BOTH_KEPT:
        try:
            for _ in run_backfill(migration.reversed(), old, probe_log=probe_log, wait=False):
                pass
        except ModelError as error:
            log.warning("the old column is not kept current: %s", error)
            return steps, kept
    return steps, [*kept, migration.reversed()]


def _has_keys(kept: Sequence[Migration]) -> bool:
    """In the queue of one of them."""
    with translate_errors("looking into the queue"), kept[0].engine.connect() as connection:
        return not all(queue.is_empty(connection, side) for side in kept)

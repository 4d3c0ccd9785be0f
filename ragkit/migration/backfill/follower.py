"""Follow: keep embedding what people write, before and after the cut-over.

After the cut-over, and after a rollback too, the old column is kept current as well: a rollback
finds the rows written since, and the app that is back what the new revision left. Where the old
model cannot be called, and a rescue has left a bridge, the bridge does it, before the cut-over too.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.errors import DatabaseError, DatabaseUnavailable, LostRace, ModelError
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.backfill.progress import Progress
from ragkit.migration.migration import Migration
from ragkit.migration.rescue.backwards import NO_BRIDGE, Backwards
from ragkit.migration.schema.expansion import keeps_both
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

    Yields the progress of the new column. Survives a restart of the database. `old` is None where
    the old model cannot be called. Raises ModelError of the new model; an error of the old side is
    logged, and the status counts what is missing.
    """
    policy, side = database_until_stopped(stop), _OldSide(migration, old, probe_log)
    while not stop.is_set():
        steps, kept = policy(_fill, migration, new, side, probe_log)
        yield from steps
        filled_at = time.monotonic()
        while not stop.wait(POLL_SECONDS) and time.monotonic() - filled_at < CATCH_UP_SECONDS:
            if policy(_has_keys, kept):
                break


def _fill(
    migration: Migration, new: Embedder, old_side: "_OldSide", probe_log: Path | None
) -> tuple[list[Progress], list[Migration]]:
    """The progress, and the sides that are kept current: the queue of another one stays."""
    migration.follow_names()
    try:
        steps = list(run_backfill(migration, new, probe_log=probe_log, wait=False))
        return steps, [migration, migration.reversed()] if old_side.fill() else [migration]
    except DatabaseError:
        if not migration.follow_names():  # else the columns were renamed in the middle
            raise
        return _fill(migration, new, old_side, probe_log)


class _OldSide:
    """Kept current by the old model, `old`, else by the bridge of a rescue."""

    def __init__(self, migration: Migration, old: Embedder | None, probe_log: Path | None):
        self._migration, self._old, self._probe_log = migration, old, probe_log
        self._bridge, self._told = Backwards(migration), ""

    def fill(self) -> bool:
        """Whether it is current: nothing is left that only a later pass can do."""
        with translate_errors("reading the phase"), self._migration.engine.connect() as connection:
            is_kept = keeps_both(connection, self._migration)
        if self._old and (not is_kept or self._fill_by_model(self._old)):
            return True
        return self._fill_by_bridge(is_kept)

    def _fill_by_model(self, old: Embedder) -> bool:
        back = self._migration.reversed()
        try:
            steps = run_backfill(
                back, old, probe_log=self._probe_log, wait=False, steered_as=self._migration
            )
            for _ in steps:
                pass
        except ModelError as error:
            log.warning("the old column is not kept current by its model: %s", error)
            return False
        return True

    def _fill_by_bridge(self, is_kept: bool) -> bool:
        try:
            done = self._bridge.approximate()
        except (DatabaseUnavailable, LostRace):
            raise
        except DatabaseError as error:
            self._tell(str(error))
            return False
        if is_kept or done.refused != NO_BRIDGE:  # before the cut-over, its own app keeps it
            self._tell(done.refused)
        return not done.refused and not done.waiting

    def _tell(self, reason: str) -> None:
        """Once, until it changes."""
        if reason and reason != self._told:
            log.warning("the old column is not kept current: %s", reason)
        self._told = reason


def _has_keys(kept: Sequence[Migration]) -> bool:
    """In the queue of one of them."""
    with translate_errors("looking into the queue"), kept[0].engine.connect() as connection:
        return not all(queue.is_empty(connection, side) for side in kept)

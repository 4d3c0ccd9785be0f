"""Follow: keep embedding what people write, before and after the cut-over.

After the cut-over, and after a rollback too, the old column is kept current as well, as long as
its model can be called: a rollback finds the rows written since, and the app that is back what
the new revision left.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.errors import ModelError
from ragkit.migration import phases
from ragkit.migration.backfill.notify import listen
from ragkit.migration.backfill.pipeline import Progress, run_backfill
from ragkit.migration.migration import Migration
from ragkit.retry import database_until_stopped

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
        with ExitStack() as stack:
            steps, wait = policy(_listen_and_fill, stack, migration, new, old, probe_log)
            yield from steps
            wait(stop)


def _listen_and_fill(
    stack: ExitStack,
    migration: Migration,
    new: Embedder,
    old: Embedder | None,
    probe_log: Path | None,
) -> tuple[list[Progress], Callable[[threading.Event], None]]:
    """Listens before it fills, so that it misses no write in between; until `stack` is closed."""
    with translate_errors("listening"):
        wait = stack.enter_context(listen(migration))
        steps = list(run_backfill(migration, new, probe_log=probe_log))
        if old is not None and migration.phase() in phases.BOTH_KEPT:
            _fill_old_column(migration, old, probe_log)
    return steps, wait


def _fill_old_column(migration: Migration, old: Embedder, probe_log: Path | None) -> None:
    try:
        for _ in run_backfill(migration.reversed(), old, probe_log=probe_log):
            pass
    except ModelError as error:
        log.warning("the old column is not kept current: %s", error)

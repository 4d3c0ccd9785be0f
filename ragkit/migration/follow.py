"""Follow: keep embedding what people write, until the cut-over and after it.

After the cut-over the old column is kept right too, as long as its model can be called, so that
a rollback finds the rows that were written since.
"""

import logging
import threading
from collections.abc import Iterator

from tenacity import Retrying, retry_if_exception_type, wait_random_exponential

from ragkit.database import plain_errors
from ragkit.embedders import Embedder
from ragkit.errors import DatabaseUnavailable, ModelError
from ragkit.migration import backfill, ledger
from ragkit.migration.backfill import Progress
from ragkit.migration.subject import Migration
from ragkit.migration.wake import listening

log = logging.getLogger(__name__)


def follow(
    migration: Migration, new: Embedder, old: Embedder | None, stop: threading.Event
) -> Iterator[Progress]:
    """Fills what is pending, waits for more, and so on until `stop` is set.

    Yields the progress of the new column. Survives a restart of the database. Raises ModelError
    of the new model; one of the old model is logged, and the status counts what is missing.
    """
    patient = Retrying(
        retry=retry_if_exception_type(DatabaseUnavailable),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        stop=lambda _: stop.is_set(),
        reraise=True,
    )
    while not stop.is_set():
        yield from patient(_round, migration, new, old, stop)


def _round(
    migration: Migration, new: Embedder, old: Embedder | None, stop: threading.Event
) -> list[Progress]:
    """Listens first and fills then, so that nothing written in between is slept over."""
    with plain_errors("listening"), listening(migration) as wait:
        steps = list(backfill.fill(migration, new))
        if old is not None and _cut_over(migration):
            _fill_old(migration, old)
        wait(stop)
    return steps


def _fill_old(migration: Migration, old: Embedder) -> None:
    try:
        for _ in backfill.fill(migration.reversed(), old):
            pass
    except ModelError as error:
        log.warning("the old column is not kept up: %s", error)


def _cut_over(migration: Migration) -> bool:
    with plain_errors("reading the ledger"), migration.engine.connect() as connection:
        return ledger.phase(connection, migration.id) == ledger.CUT_OVER

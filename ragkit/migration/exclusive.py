"""One operator at a time: steps that must not run beside one another.

Backfills and followers need no such claim; they share the work.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ragkit.database.sessions import claim_holders, claim_key, named_session
from ragkit.database.translate import LOCK_NOT_AVAILABLE, sqlstate, translate_errors
from ragkit.errors import PhaseError
from ragkit.migration import ledger
from ragkit.migration.migration import Migration

WAIT_MS = 1000
"""For a claim that is about to end, such as that of a process just killed."""


@contextmanager
def exclusive(migration: Migration, step: str) -> Iterator[None]:
    """Claims the migration for `step` while the block runs.

    Raises PhaseError, which names the other operator's step, or DatabaseError.
    """
    claim = f"ragkit step of {migration.id}"
    with ExitStack() as stack:
        with translate_errors(step):
            name = f"ragkit {step} by {ledger.actor()}"
            connection = stack.enter_context(named_session(migration.engine, name))
            if not _claim(connection, claim):
                others = claim_holders(connection, claim)
                running = f"{others[0]} is running; wait for its end" if others else "it was busy"
                raise PhaseError(f"{step} is refused: {running}; nothing was changed")
        try:
            yield
        finally:
            with suppress(DBAPIError):  # a broken connection has released it
                connection.scalar(sa.select(sa.func.pg_advisory_unlock(claim_key(claim))))


def _claim(connection: sa.Connection, claim: str) -> bool:
    """False when another session holds it for longer than WAIT_MS."""
    connection.execute(sa.select(sa.func.set_config("lock_timeout", str(WAIT_MS), False)))
    try:
        connection.execute(sa.select(sa.func.pg_advisory_lock(claim_key(claim))))
    except DBAPIError as error:
        if sqlstate(error) == LOCK_NOT_AVAILABLE:
            return False
        raise
    return True

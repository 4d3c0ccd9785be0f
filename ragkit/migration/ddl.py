"""Schema statements on a live table: a short lock_timeout, and again with jitter."""

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random_exponential

from ragkit.database import sqlstate
from ragkit.errors import DatabaseError

LOCK_TIMEOUT_MS = 500
"""A statement that waits for a lock makes everyone behind it wait too."""
TOTAL_SECONDS = 60
_LOCK_NOT_AVAILABLE = "55P03"


def online(engine: sa.Engine, change: Callable[[sa.Connection], None]) -> None:
    """Runs `change` in one short transaction. Raises DatabaseError after TOTAL_SECONDS."""
    try:
        _attempt(engine, change)
    except DBAPIError as error:
        if not _blocked(error):
            raise
        raise DatabaseError(
            f"the table was locked by others for {TOTAL_SECONDS} s: end the long transactions "
            "(pg_stat_activity shows them) and run this step again; nothing was changed"
        ) from None


def _blocked(error: BaseException) -> bool:
    return isinstance(error, DBAPIError) and sqlstate(error) == _LOCK_NOT_AVAILABLE


@retry(
    retry=retry_if_exception(_blocked),
    wait=wait_random_exponential(multiplier=0.2, max=5),
    stop=stop_after_delay(TOTAL_SECONDS),
    reraise=True,
)
def _attempt(engine: sa.Engine, change: Callable[[sa.Connection], None]) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text(f"set local lock_timeout = {LOCK_TIMEOUT_MS}"))
        change(connection)

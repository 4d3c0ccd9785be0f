"""How far the slowest standby is behind."""

import logging
from collections.abc import Callable

from ragkit.database.standbys import Standbys, read_standbys
from ragkit.database.translate import translate_errors
from ragkit.errors import DatabaseError
from ragkit.migration.migration import Migration

MAX_LAG_SECONDS = 10.0
"""Beside the lag that was there before the backfill, as of a standby that is delayed on purpose."""
UNSEEN_STANDBYS = "the backfill does not slow down for them; inspect shows the GRANT"
log = logging.getLogger(__name__)


class ReplicaLag:
    """A Watch. `read` returns None where nothing can be seen."""

    def __init__(self, read: Callable[[], Standbys | None]):
        self._read = read
        before = self._lag_seconds()
        if before is None:
            log.warning("this role may not see how far standbys are behind: %s", UNSEEN_STANDBYS)
        self._limit = MAX_LAG_SECONDS + (before or 0.0)

    @classmethod
    def of(cls, migration: Migration) -> "ReplicaLag":
        return cls(lambda: _read(migration))

    def __call__(self) -> str:
        lag = self._lag_seconds() or 0.0
        return f"a standby is {lag:.0f} s behind" if lag > self._limit else ""

    def _lag_seconds(self) -> float | None:
        standbys = self._read()
        return None if standbys is None or standbys.hidden else standbys.lag_seconds


def _read(migration: Migration) -> Standbys | None:
    try:
        with translate_errors("replication lag"), migration.engine.connect() as connection:
            return read_standbys(connection)
    except DatabaseError:
        return None

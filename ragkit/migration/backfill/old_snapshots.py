"""Snapshots that old transactions hold: PostgreSQL then removes no dead row from any page, so that
no page has room for its next row, and updates reach every index.
"""

import logging
import time
from collections.abc import Callable

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.errors import DatabaseError
from ragkit.migration.migration import Migration

OLD_SECONDS, EVERY_SECONDS = 60.0, 20.0
_OLDEST = sa.text("""
    select holder, seconds from (
        select format('pid %s (%s)', pid, usename) as holder, age(backend_xmin) as age,
               extract(epoch from clock_timestamp() - xact_start) as seconds
        from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and backend_xmin is not null
          and backend_type = 'client backend' and query not ilike 'vacuum%'
        union all
        select format('the prepared transaction %L', gid), age(transaction),
               extract(epoch from clock_timestamp() - prepared)
        from pg_prepared_xacts where database = current_database()) held
    where seconds >= :seconds order by age desc limit 1
""")
log = logging.getLogger(__name__)


class OldSnapshots:
    """Looks for one every EVERY_SECONDS; `found` names the oldest, "" when there is none. Without
    pg_read_all_stats, only those of this role are seen."""

    def __init__(self, migration: Migration, clock: Callable[[], float] = time.monotonic):
        self._migration, self._clock = migration, clock
        self._due, self.found = clock(), ""

    def look(self) -> str:
        """`found`, by a new look if one is due. An error of the database leaves it as it was."""
        if self._clock() >= self._due:
            self._due = self._clock() + EVERY_SECONDS
            try:
                self._look()
            except DatabaseError:
                return self.found
        return self.found

    def _look(self) -> None:
        before = self.found
        with translate_errors("snapshots"), self._migration.engine.connect() as connection:
            row = connection.execute(_OLDEST, {"seconds": OLD_SECONDS}).first()
        self.found = f"{row.holder} keeps the table from being pruned" if row else ""
        if row and not before:
            log.warning(
                "%s has held a snapshot for %.0f s: until it ends, no page is pruned, the table "
                "grows, and the old column's index is written", row.holder, row.seconds,
            )  # fmt: skip

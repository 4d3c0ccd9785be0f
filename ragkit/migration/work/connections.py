"""Room for the connections of processes that share the work, looked for before they begin.

A pool never opens more than its size, so that is what a process may hold at most.
"""

import logging
from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.database.engine import MIN_POOL, POOL_SIZE, most_connections
from ragkit.database.translate import translate_errors
from ragkit.errors import ConfigError
from ragkit.migration.migration import Migration
from ragkit.migration.schema.index.pooler import keeps_session

OF_THE_INDEX = 1
"""One process builds the index, in a session beside its pool."""
# Sessions of other roles hide their type and name, unless this role has pg_read_all_stats.
_SERVER = sa.text("""
    select me.rolname as role, here.datname as database,
           case when me.rolsuper then -1 else me.rolconnlimit end as role_limit,
           case when me.rolsuper then -1 else here.datconnlimit end as database_limit,
           current_setting('max_connections')::int
             - case when me.rolsuper then 0
                    else current_setting('superuser_reserved_connections')::int end
             - case when me.rolsuper or coalesce(pg_has_role(
                        me.oid, to_regrole('pg_use_reserved_connections')::oid, 'usage'), false)
                    then 0
                    else coalesce(current_setting('reserved_connections', true)::int, 0) end
             as server_limit,
           count(*) as on_server,
           count(*) filter (where a.usesysid = me.oid) as of_role,
           count(*) filter (where a.datid = here.oid) as in_database,
           count(*) filter (where a.usesysid = me.oid and a.datid = here.oid
             and a.application_name = current_setting('application_name')) as own
    from pg_stat_activity a, pg_roles me, pg_database here
    where me.rolname = session_user and here.datname = current_database()
      and a.datid is not null and a.usesysid is not null
      and coalesce(a.backend_type, 'client backend') = 'client backend'
    group by me.oid, me.rolname, me.rolsuper, me.rolconnlimit, here.datname, here.datconnlimit
""")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Room:
    """`each`: connections that a process holds at most. `left`: those that it and others of its
    kind may have, which are those of its role, database and application_name; they hold `own` of
    them already. `limit` is what leaves the fewest. Behind a `pooler` in transaction mode it is
    what the pooler may open: nobody sees from here how many clients it takes."""

    each: int
    left: int
    own: int
    limit: str
    pooler: bool

    def needed(self, processes: int) -> int:
        return processes * self.each + OF_THE_INDEX

    @property
    def processes(self) -> int:
        """So many have room."""
        return max(0, (self.left - OF_THE_INDEX) // self.each)

    def __str__(self) -> str:
        """For a person who plans a run."""
        each = f"a process holds up to {self.each} connections, and one more builds the index"
        if self.pooler:
            return f"{each}; a pooler shares {self.left} of the server's among all: {self.limit}"
        return f"{each}; {self.limit} leaves {self.left}: room for {self.processes} processes"


def read_room(migration: Migration) -> Room:
    """As the server is now. Raises DatabaseError."""
    engine = migration.engine
    with translate_errors("counting connections"):
        with engine.connect() as connection:
            row = connection.execute(_SERVER).one()
        is_kept = keeps_session(engine)
    limits = [(row.server_limit - row.on_server, "max_connections")]
    if row.role_limit >= 0:
        limits.append((row.role_limit - row.of_role, f"the connection limit of role {row.role!r}"))
    if row.database_limit >= 0:
        limit = f"the connection limit of database {row.database!r}"
        limits.append((row.database_limit - row.in_database, limit))
    left, limit = min(limits)
    return Room(most_connections(engine), left + row.own, row.own, limit, not is_kept)


def require_connections(migration: Migration, processes: int) -> None:
    """So many processes, this one among them, may open all that they may need, beside everybody
    else who is connected now. Behind a pooler in transaction mode it is only logged what the pooler
    must take. Raises ConfigError or DatabaseError."""
    room = read_room(migration)
    needed = room.needed(processes)
    if room.pooler:
        log.warning(
            "%d processes open up to %d connections to a pooler, whose limits cannot be seen from "
            "here: its max_client_conn must leave so many", processes, needed,
        )  # fmt: skip
        return
    left = room.left - max(0, room.own - needed)  # more than these can hold are others'
    if needed <= left:
        return
    pool = (left - OF_THE_INDEX) // processes
    smaller = f"set {POOL_SIZE} to {pool}, " if pool >= MIN_POOL else ""
    raise ConfigError(
        f"{processes} processes need up to {needed} connections ({room.each} each, and "
        f"{OF_THE_INDEX} to build the index), and {room.limit} leaves {max(0, left)}: start at "
        f"most {room.processes} processes, {smaller}or raise that limit; nothing was changed"
    )

"""The standbys of a server, and how far they are behind."""

from dataclasses import dataclass

import sqlalchemy as sa

_STANDBYS = sa.text("""
    select count(*) as total, count(*) filter (where state is null) as hidden,
           coalesce(extract(epoch from max(replay_lag)), 0) as lag_seconds
    from pg_stat_replication
""")


@dataclass(frozen=True)
class Standbys:
    """Of `hidden` ones this role may not see how far behind they are: it lacks pg_monitor.
    `lag_seconds` is that of the slowest other one; 0.0 without any."""

    count: int
    hidden: int
    lag_seconds: float


def read_standbys(connection: sa.Connection) -> Standbys:
    """As the server that is asked sees them."""
    row = connection.execute(_STANDBYS).one()
    return Standbys(row.total, row.hidden, float(row.lag_seconds))

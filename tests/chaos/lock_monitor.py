"""Samples the server twenty times a second: how long do the app's statements wait for a lock?"""

import threading
import time
from collections import defaultdict

import sqlalchemy as sa

INTERVAL_SECONDS = 0.05
_WAITING = sa.text("""
    select pid, extract(epoch from clock_timestamp() - query_start) * 1000 as ms
    from pg_stat_activity
    where application_name = 'chaos-writer' and wait_event_type = 'Lock'
""")


class LockMonitor(threading.Thread):
    """`waits`: the longest lock wait of each statement of the writers, in milliseconds."""

    def __init__(self, url: sa.URL):
        super().__init__(daemon=True)
        self._engine = sa.create_engine(
            url, pool_pre_ping=True, connect_args={"application_name": "chaos-monitor"}
        )
        self.waits: dict[tuple, float] = defaultdict(float)
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.wait(INTERVAL_SECONDS):
            try:
                with self._engine.connect() as connection:
                    for pid, ms in connection.execute(_WAITING):
                        started = round(time.time() - float(ms) / 1000, 1)
                        self.waits[pid, started] = max(self.waits[pid, started], float(ms))
            except (sa.exc.DBAPIError, OSError):  # pg8000 may raise the socket's own error
                continue

"""What the server waits for during a run, from samples of pg_stat_activity: a figure's profile."""

import threading
from collections import Counter
from collections.abc import Mapping

import sqlalchemy as sa

from ragkit.database.engine import autocommit

EVERY_SECONDS = 0.2
PREFIX = "waits for "
SHOWN = 3
_SAMPLE = sa.text("""
    select coalesce(wait_event_type || ':' || wait_event, 'CPU') from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and state = 'active'
""")


class WaitSampler:
    """A context; then `shares` has the share of the samples of active sessions by wait event,
    `CPU` for none."""

    def __init__(self, engine: sa.Engine):
        self._engine, self._stop = engine, threading.Event()
        self._counts: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "WaitSampler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def shares(self) -> dict[str, float]:
        total = self._counts.total()
        return {f"{PREFIX}{name}": count / total for name, count in self._counts.items()}

    def _sample(self) -> None:
        with autocommit(self._engine) as connection:
            while not self._stop.wait(EVERY_SECONDS):
                self._counts.update(connection.scalars(_SAMPLE))


def describe(measured: Mapping[str, float]) -> str:
    """The longest waits of a run, such as "Lock:object 90 %, CPU 5 %"; "" without a sample."""
    waits = {n.removeprefix(PREFIX): s for n, s in measured.items() if n.startswith(PREFIX)}
    longest = sorted(waits, key=lambda name: -waits[name])[:SHOWN]
    return ", ".join(f"{name} {100 * waits[name]:.0f} %" for name in longest)

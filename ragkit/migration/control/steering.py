"""A run under the settings that people change: it looks at them twice a second."""

import logging
import math
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol, Self

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.errors import ConfigError, DatabaseUnavailable, RagkitError, Stopped
from ragkit.migration.control.settings import (
    MAX_IN_FLIGHT,
    Settings,
    minutes_until_open,
    read_settings,
)
from ragkit.migration.control.window import ALWAYS, Window
from ragkit.migration.migration import Migration

LOOK_SECONDS = 0.5
log = logging.getLogger(__name__)


class Steered(Protocol):
    """What sends the requests of a run."""

    def steer(self, limit: int, pace: float, held: bool) -> None:
        """At most `limit` at once; at a pace below 1, each slot rests after a request; when `held`,
        none starts."""
        ...


class Held(Stopped):
    """For as long as somebody pauses it."""


class Steering:
    """`hold` says why no request starts; "" when they do. While the row means nothing, or cannot be
    read, the last settings hold, and the log says so once.

    A follower knows no window: what people write is embedded at any hour.
    """

    def __init__(self, migration: Migration, steered: Steered, limit: int, *, follows: bool):
        """Reads the settings. `limit`: requests at once by the plan. Raises DatabaseError."""
        self._migration, self._steered, self._limit = migration, steered, limit
        window = "" if follows else migration.plan.backfill.window
        self._window = ALWAYS if follows else window or ALWAYS
        self._follows, self._told = follows, ""
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self.hold, self._stopped_by = "", ""
        with translate_errors("reading the settings"), migration.engine.connect() as connection:
            now = sa.select(sa.func.clock_timestamp())
            self._started: datetime = connection.execute(now).scalar_one()
        self._look()

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._keeper.join(LOOK_SECONDS)

    def check(self) -> None:
        """Raises Stopped when somebody has stopped what was running; Held in a follower that is
        paused, which looks again later."""
        if self._stopped_by:
            raise Stopped(
                f"stopped by {self._stopped_by}; what was written stays: run this again to go on"
            )
        if self._follows and self.hold:
            raise Held(self.hold)

    def waiting(self) -> Iterator[str]:
        """Why it waits, twice a second, until it does not. Raises as `check`."""
        self.check()
        while self.hold:
            yield self.hold
            self._ended.wait(LOOK_SECONDS)
            self.check()

    def _keep(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        try:
            engine = self._migration.engine
            with translate_errors("reading the settings"), engine.connect() as connection:
                settings = read_settings(connection, self._migration)
                closed = self._minutes_until_open(connection, settings)
        except DatabaseUnavailable:
            return  # the run itself tells it
        except RagkitError as error:
            self._tell(f"ragkit control reset: its settings are left as they were: {error}")
            return
        self._tell("")
        self._apply(settings, closed)

    def _minutes_until_open(self, connection: sa.Connection, settings: Settings) -> int:
        window = ALWAYS if self._follows else settings.window or self._window
        return 0 if window == ALWAYS else minutes_until_open(connection, Window.parse(window))

    def _apply(self, settings: Settings, closed_minutes: int) -> None:
        if settings.stopped_at and settings.stopped_at > self._started:
            self._stopped_by = settings.changer
        if settings.paused:
            self.hold = f"paused by {settings.changer}: ragkit control resume"
        elif closed_minutes:
            hours, minutes = divmod(closed_minutes, 60)
            window = settings.window or self._window
            self.hold = f"outside of the window {window}, which opens in {hours} h {minutes} min"
        else:
            self.hold = ""
        limit = settings.in_flight or self._limit
        if settings.pace > 1:
            limit = min(MAX_IN_FLIGHT, math.ceil(limit * settings.pace))
        is_held = bool(self.hold or self._stopped_by)
        self._steered.steer(limit, min(1.0, settings.pace), is_held)

    def _tell(self, fault: str) -> None:
        if fault and fault != self._told:
            log.warning(fault)
        self._told = fault


def require_not_postponed(migration: Migration) -> None:
    """Raises ConfigError when somebody has postponed the cut-over, DatabaseError."""
    with translate_errors("reading the settings"), migration.engine.connect() as connection:
        settings = read_settings(connection, migration)
    if settings.postponed:
        raise ConfigError(
            f"the cut-over is postponed by {settings.changer}: ragkit control allow-cutover"
        )

"""What a canary tells while it runs: to the ledger, by which any status card shows it, and to
whoever has started it."""

import logging
import time
from collections.abc import Callable
from dataclasses import asdict

import sqlalchemy as sa

from ragkit.deploy.canary.decision import CanaryLook
from ragkit.errors import RagkitError
from ragkit.migration import ledger, phases
from ragkit.migration.migration import Migration

KIND = "canary"
"""Of its events in the ledger."""
RECORD_SECONDS = 30.0
"""Between events, while nothing is decided."""
log = logging.getLogger(__name__)


class CanaryReports:
    """Takes each look. `also` is told all of them."""

    def __init__(self, migration: Migration):
        self.also: Callable[[CanaryLook], object] = lambda look: None
        self._migration = migration
        self._recorded: tuple[object, ...] = ()
        self._at = 0.0

    def __call__(self, look: CanaryLook) -> None:
        decided = (look.share, look.decision, *(s.decision for s in look.standings))
        if decided != self._recorded or time.monotonic() - self._at >= RECORD_SECONDS:
            self._recorded, self._at = decided, time.monotonic()
            try:
                self._migration.record(KIND, text=str(look), **asdict(look))
            except RagkitError as error:  # the database may be away; the app's traffic goes on
                log.warning("the canary was not recorded: %s", error)
        self.also(look)


def last_canary(connection: sa.Connection, migration: str) -> str | None:
    """The last look, with its time, since the last change of the phase; None without one."""
    for event in reversed(ledger.events(connection, migration)):
        if event.kind == KIND:
            return f"{event.detail['text'].removeprefix('canary: ')} (at {event.at:%H:%M:%S %Z})"
        if event.kind in phases.FOLLOWERS:
            return None
    return None

"""What an operator confirms where no app is asked: each word counts once, and is recorded."""

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.errors import DeployError
from ragkit.migration import ledger, phases
from ragkit.migration.migration import Migration

CONFIRMED = "confirmed"
"""Of an event: what the operator said."""


def serving_model(migration: Migration) -> str:
    """By the ledger. Raises DatabaseError."""
    has_new = migration.phase() in (phases.CUT_OVER, phases.RETIRED)
    return migration.plan.new.model if has_new else migration.plan.old.model


def require_confirmation(migration: Migration, action: str) -> str:
    """app.confirmed, unless it was recorded for another step: a text that stays in a params file
    confirms nothing more. Raises DeployError, which says what to do first, or DatabaseError."""
    text = migration.plan.app.confirmed
    if not text:
        raise DeployError(
            f"app.target: none: {action} by hand, then run this step again with "
            f'app.confirmed="who did it, when"; nothing was recorded'
        )
    with translate_errors("reading the ledger"), migration.engine.connect() as connection:
        used = _recorded(connection, migration, text)
    if used:
        raise DeployError(
            f"app.confirmed was recorded at {used.at:%Y-%m-%d %H:%M %Z} for {used.kind!r}: "
            f"{action} by hand, then say in other words who did it, and when"
        )
    return text


def _recorded(connection: sa.Connection, migration: Migration, text: str) -> ledger.Event | None:
    events = reversed(ledger.events(connection, migration.id))
    return next((event for event in events if event.detail.get(CONFIRMED) == text), None)

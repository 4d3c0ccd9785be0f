"""What the app's users got since a rescue began, as the ledger keeps it: down, rescued, native."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.deploy.app import App
from ragkit.embedding.catalogue import Model
from ragkit.errors import ConfigError, ContractError, DeployError
from ragkit.migration import ledger
from ragkit.migration.migration import Migration
from ragkit.retrieval.route import find_route

SERVICE = "service"
"""An event of the ledger: the state of the service is another one."""
DOWN, OLD, RESCUED, NATIVE = "down", "old model", "rescued", "native"


@dataclass(frozen=True)
class ServiceState:
    """One of DOWN, OLD, RESCUED and NATIVE, and since when."""

    state: str
    since: datetime


def observe(migration: Migration, app: App, model: Model, question: str) -> str:
    """What a question gets now; `model` is the new one. Raises DatabaseError."""
    try:
        serving = app.serving()
        if serving is None:
            return DOWN
        app.smoke_test(question, serving.model)
    except (ConfigError, DeployError):
        return DOWN
    if serving.model != migration.plan.new.model:
        return OLD
    table = migration.plan.table.qualified_name
    with translate_errors("reading the contract"), migration.engine.connect() as connection:
        try:
            return RESCUED if find_route(connection, table, model, {}).rescue else NATIVE
        except ContractError:
            return DOWN


def note_service(migration: Migration, state: str, seconds: float = 0.0) -> None:
    """Nothing when that is the last state that was noted. It began `seconds` ago, by the server's
    clock, which is that of all states. Raises PhaseError before expand, or DatabaseError."""
    with translate_errors("noting the service"), migration.engine.begin() as connection:
        states = _read(connection, migration)
        if not states or states[-1].state != state:
            now = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
            at = now - timedelta(seconds=seconds)
            ledger.record(connection, migration.id, SERVICE, state=state, since=at.isoformat())


def read_service(migration: Migration) -> list[ServiceState]:
    """Oldest first; [] when there was no rescue. Raises DatabaseError."""
    with translate_errors("reading the ledger"), migration.engine.connect() as connection:
        return _read(connection, migration)


def _read(connection: sa.Connection, migration: Migration) -> list[ServiceState]:
    events = ledger.events(connection, migration.id)
    return [
        ServiceState(event.detail["state"], datetime.fromisoformat(event.detail["since"]))
        for event in events if event.kind == SERVICE
    ]  # fmt: skip

"""The forecast of a rehearsal, kept in the ledger, and the run beside it afterwards."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from ragkit.database.translate import translate_errors
from ragkit.migration import ledger, phases
from ragkit.migration.backfill.model_calls.costs import QUESTIONS, read_costs
from ragkit.migration.migration import Migration
from ragkit.migration.rehearsal.forecast import Forecast, Measured
from ragkit.migration.rehearsal.money import REHEARSAL

EVENT = "rehearsal"


@dataclass(frozen=True)
class RunFigures:
    """Of the forecast, or of the run: `backfill_minutes` are those from expand until the column was
    complete, whoever stopped it in between. None: not yet, or not known."""

    figures: str
    rows: int | None = None
    dead_letters: int | None = None
    backfill_minutes: float | None = None
    index_minutes: float | None = None
    index_bytes: int | None = None
    usd: float | None = None


def record(migration: Migration, measured: Measured, forecast: Forecast) -> None:
    """In the ledger of the migration that was rehearsed. Raises DatabaseError."""
    migration.record(
        EVENT, model=migration.plan.new.model, placement=migration.plan.new.placement,
        measured=asdict(measured), forecast=asdict(forecast),
    )  # fmt: skip


def beside_the_run(migration: Migration) -> list[RunFigures]:
    """The forecast, and what the run took so far; [] without a rehearsal of this model and
    placement. Raises DatabaseError."""
    with translate_errors("reading the ledger"), migration.engine.connect() as connection:
        events = ledger.events(connection, migration.id)
    new = migration.plan.new
    told = [
        event
        for event in events
        if event.kind == EVENT
        and (event.detail["model"], event.detail["placement"]) == (new.model, new.placement)
    ]
    if not told:
        return []
    shared = {field.name for field in fields(RunFigures)}
    forecast = {k: v for k, v in told[-1].detail["forecast"].items() if k in shared}
    return [RunFigures("forecast", **forecast), RunFigures("run", **_of_run(migration, events))]


def _of_run(migration: Migration, events: list[ledger.Event]) -> dict[str, Any]:
    """Of the first backfill, and of the index that was built last."""
    first = {event.kind: event for event in reversed(events)}
    last = {event.kind: event for event in events}
    found: dict[str, Any] = {}
    if begun := first.get(phases.EXPANDED):
        costs = [c for c in read_costs(migration) if not c.model.endswith((REHEARSAL, QUESTIONS))]
        found["usd"] = round(sum(cost.usd for cost in costs), 6)
        if done := first.get(phases.BACKFILLED):
            found["rows"], found["dead_letters"] = (
                done.detail[name] for name in ("filled", "dead_letters")
            )
            found["backfill_minutes"] = round((done.at - begun.at).total_seconds() / 60, 4)
    if built := last.get("index"):
        found["index_minutes"] = round(built.detail["seconds"] / 60, 4)
        found["index_bytes"] = built.detail["bytes"]
    return found

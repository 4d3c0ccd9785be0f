"""GO, NO-GO or INCONCLUSIVE: what the gates say together, kept in the ledger for the cut-over."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.errors import GateError
from ragkit.migration import ledger
from ragkit.migration.migration import Migration
from ragkit.migration.progress import coverage
from ragkit.migration.progress.completion import overdue_rows
from ragkit.migration.schema import index

GO, NO_GO, INCONCLUSIVE = "GO", "NO-GO", "INCONCLUSIVE"


@dataclass(frozen=True)
class Gate:
    """`passed` is None when the evidence does not decide: the interval holds the limit."""

    name: str
    observed: str
    limit: str
    passed: bool | None


@dataclass(frozen=True)
class Verdict:
    """`figures`: the evidence behind the gates, every figure with its interval, and the seed."""

    verdict: str
    gates: list[Gate]
    figures: dict[str, Any]

    @classmethod
    def of(cls, gates: Sequence[Gate], figures: dict[str, Any]) -> "Verdict":
        """NO-GO when a gate failed, else INCONCLUSIVE when one is undecided, else GO."""
        outcomes = {gate.passed for gate in gates}
        verdict = NO_GO if False in outcomes else INCONCLUSIVE if None in outcomes else GO
        return cls(verdict, list(gates), figures)

    def as_json(self) -> dict[str, Any]:
        """Flat: the figures are beside the verdict and its gates."""
        return {"verdict": self.verdict, "gates": [asdict(g) for g in self.gates], **self.figures}


def database_gates(connection: sa.Connection, migration: Migration) -> list[Gate]:
    """What the database says now: every row has its vector, and the index is valid."""
    counts = coverage.count_rows(connection, migration)
    overdue = overdue_rows(connection, migration, counts)
    recent = counts.pending - overdue
    just_written = f" ({recent} just written)" if recent > 0 else ""
    observed = (
        f"{counts.coverage:.2%}, {overdue} pending{just_written}, {counts.empty} without text"
    )
    limit = migration.plan.gates.dead_letters
    gates = [
        Gate("coverage", observed, "none pending", overdue == 0),
        Gate(
            "dead letters", f"{counts.dead_letters} refused by the model", f"≤ {limit}",
            counts.dead_letters <= limit,
        ),
    ]  # fmt: skip
    if migration.plan.index.type != "none":
        state = index.state(connection, migration)
        word = "valid" if state.valid else "invalid" if state.exists else "missing"
        gates.append(Gate("index on the new column", word, "valid", state.valid))
    return gates


def record_verdict(connection: sa.Connection, migration: Migration, verdict: Verdict) -> None:
    """In the ledger; the first one after a backfill ends that phase."""
    ledger.record(connection, migration.id, "verdict", **asdict(verdict))
    if ledger.phase(connection, migration.id) == ledger.BACKFILLED:
        ledger.record(connection, migration.id, ledger.COMPARED, verdict=verdict.verdict)


def read_verdict(migration: Migration) -> Verdict | None:
    """The newest verdict in the ledger. Raises DatabaseError."""
    with translate_errors("reading the verdict"), migration.engine.connect() as connection:
        event = ledger.last_event(connection, migration.id, "verdict")
    if event is None:
        return None
    gates = [Gate(**gate) for gate in event.detail["gates"]]
    return Verdict(event.detail["verdict"], gates, event.detail["figures"])


def recheck_verdict(migration: Migration) -> Verdict:
    """The recorded verdict, with the gates of the database checked again; NO-GO when there is
    none. Raises DatabaseError."""
    recorded = read_verdict(migration)
    with translate_errors("checking the gates"), migration.engine.connect() as connection:
        current = database_gates(connection, migration)
    if recorded is None:
        missing = Gate("comparison", "none yet", "one (run the compare notebook)", False)
        return Verdict.of([*current, missing], {})
    by_name = {gate.name: gate for gate in current}
    gates = [by_name.get(gate.name, gate) for gate in recorded.gates]
    return Verdict.of(gates, recorded.figures)


def require_go(verdict: Verdict, override: str = "") -> str:
    """On what grounds a step may continue: GO, or `override`, a reason to continue without one.

    Raises GateError, which tells the gates that did not pass, in one line.
    """
    if verdict.verdict == GO:
        return GO
    if override:
        return f"{verdict.verdict}, overridden: {override}"
    failed = (f"{g.name}: {g.observed}, expected {g.limit}" for g in verdict.gates if not g.passed)
    raise GateError(f"{verdict.verdict}: " + "; ".join(failed))

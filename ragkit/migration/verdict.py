"""GO, NO-GO or INCONCLUSIVE: what the gates say together, kept in the ledger for the cut-over."""

from dataclasses import asdict, dataclass

import sqlalchemy as sa

from ragkit.database import plain_errors
from ragkit.errors import GateError
from ragkit.migration import coverage, index, ledger
from ragkit.migration.completion import behind
from ragkit.migration.subject import Migration

GO, NO_GO, INCONCLUSIVE = "GO", "NO-GO", "INCONCLUSIVE"


@dataclass(frozen=True)
class Gate:
    """`passed` is None when the interval reaches over the limit: not enough evidence."""

    name: str
    observed: str
    limit: str
    passed: bool | None


@dataclass(frozen=True)
class Verdict:
    """`figures`: the evidence behind the gates, every figure with its interval, and the seed."""

    verdict: str
    gates: list[Gate]
    figures: dict[str, object]

    @classmethod
    def of(cls, gates: list[Gate], figures: dict[str, object]) -> "Verdict":
        """One failed gate is NO-GO; else one undecided is INCONCLUSIVE; else GO."""
        outcomes = {gate.passed for gate in gates}
        together = NO_GO if False in outcomes else INCONCLUSIVE if None in outcomes else GO
        return cls(together, gates, figures)

    def as_json(self) -> dict:
        """Flat: the figures stand beside the verdict and its gates."""
        return {"verdict": self.verdict, "gates": [asdict(g) for g in self.gates], **self.figures}


def live_gates(connection: sa.Connection, migration: Migration) -> list[Gate]:
    """What the database says now: every row has its vector, the index is valid."""
    now = coverage.count(connection, migration)
    waiting = behind(connection, migration, now)
    written = f" ({now.pending - waiting} just written)" if now.pending > waiting else ""
    observed = f"{now.share:.2%}, {waiting} pending{written}, {now.empty} without text"
    most, aside = migration.plan.gate_set_aside, now.set_aside
    gates = [
        Gate("coverage", observed, "none pending", waiting == 0),
        Gate("rows set aside", f"{aside} refused by the model", f"≤ {most}", aside <= most),
    ]
    if migration.plan.index_type != "none":
        found = index.state(connection, migration)
        state = "valid" if found.valid else "invalid" if found.exists else "missing"
        gates.append(Gate("index on the new column", state, "valid", found.valid))
    return gates


def record(connection: sa.Connection, migration: Migration, verdict: Verdict) -> None:
    migration.record(connection, "verdict", **asdict(verdict))
    if ledger.phase(connection, migration.id) == ledger.BACKFILLED:
        migration.record(connection, ledger.COMPARED, verdict=verdict.verdict)


def recorded(migration: Migration) -> Verdict | None:
    """The newest verdict in the ledger."""
    with plain_errors("reading the verdict"), migration.engine.connect() as connection:
        event = ledger.last(connection, migration.id, "verdict")
    if event is None:
        return None
    gates = [Gate(**gate) for gate in event.detail["gates"]]
    return Verdict(event.detail["verdict"], gates, event.detail["figures"])


def check(migration: Migration) -> Verdict:
    """The recorded verdict with the gates of the database taken anew; NO-GO where there is none."""
    found = recorded(migration)
    with plain_errors("checking the gates"), migration.engine.connect() as connection:
        live = live_gates(connection, migration)
    if found is None:
        missing = Gate("comparison", "none yet", "one (run the compare notebook)", False)
        return Verdict.of([*live, missing], {})
    anew = {gate.name: gate for gate in live}
    return Verdict.of([anew.get(gate.name, gate) for gate in found.gates], found.figures)


def require_go(verdict: Verdict, override: str = "") -> str:
    """What the step may go on with: GO, or an `override`, the reason to go on all the same.

    Raises GateError with the gates that did not pass, in one line.
    """
    if verdict.verdict == GO:
        return GO
    if override:
        return f"{verdict.verdict}, overridden: {override}"
    failed = (f"{g.name}: {g.observed}, wanted {g.limit}" for g in verdict.gates if not g.passed)
    raise GateError(f"{verdict.verdict}: " + "; ".join(failed))

"""GO, NO-GO or INCONCLUSIVE: what the gates say together, kept in the ledger for the cut-over."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.errors import GateError
from ragkit.migration import ledger, phases
from ragkit.migration.migration import Migration
from ragkit.migration.progress import coverage
from ragkit.migration.progress.audit import audit, last_audit
from ragkit.migration.progress.completion import overdue_rows
from ragkit.migration.progress.coverage import RowCounts
from ragkit.migration.provenance import differences, provenance
from ragkit.migration.schema import index
from ragkit.migration.schema.trigger_faults import trigger_faults
from ragkit.migration.work import queue

GO, NO_GO, INCONCLUSIVE = "GO", "NO-GO", "INCONCLUSIVE"
MAX_CHANGES = 5
"""Parameters that a message names."""


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


def database_gates(
    connection: sa.Connection, migration: Migration, counts: RowCounts
) -> list[Gate]:
    """What the database says now: every row has its vector, and the index is valid. `counts` are
    those of an audit."""
    overdue = overdue_rows(connection, migration, counts)
    recent = queue.pending_rows(connection, migration) - overdue
    just_written = f" ({recent} just written)" if recent > 0 else ""
    observed = (
        f"{counts.coverage:.2%}, {overdue} pending{just_written}, {counts.empty} without text"
    )
    mostly_refused = counts.dead_letters > counts.fillable / 2
    if mostly_refused:
        observed += f"; most rows are set aside: {counts.dead_letters} of {counts.fillable}"
    limit = migration.plan.gates.dead_letters
    gates = [
        Gate("coverage", observed, "none pending", overdue == 0 and not mostly_refused),
        Gate(
            "dead letters", f"{counts.dead_letters} refused by the model", f"≤ {limit}",
            counts.dead_letters <= limit,
        ),
    ]  # fmt: skip
    faults = trigger_faults(connection, migration)
    in_place = "; ".join(faults) or "in place"
    gates.append(Gate("triggers", in_place, "see every write", not faults))
    if migration.plan.index.type != "none":
        state = index.state(connection, migration)
        word = "valid" if state.valid else "invalid" if state.exists else "missing"
        gates.append(Gate("index on the new column", word, "valid", state.valid))
    return gates


def record_verdict(connection: sa.Connection, migration: Migration, verdict: Verdict) -> None:
    """In the ledger, with what it was made of; the first one after a backfill ends that phase."""
    made_of = provenance(migration.plan)
    ledger.record(connection, migration.id, "verdict", **asdict(verdict), made_of=made_of)
    if ledger.phase(connection, migration.id) == phases.BACKFILLED:
        ledger.record(connection, migration.id, phases.COMPARED, verdict=verdict.verdict)


def find_verdict(connection: sa.Connection, migration: Migration) -> Verdict | None:
    """The newest verdict that was made of what the plan says now. One under other limits, of a
    what-if run for example, is never taken for it."""
    event = _newest_of(provenance(migration.plan), _verdicts(connection, migration))
    return _verdict_of(event) if event else None


def read_verdict(migration: Migration) -> Verdict | None:
    """As find_verdict. Raises DatabaseError."""
    with translate_errors("reading the verdict"), migration.engine.connect() as connection:
        return find_verdict(connection, migration)


def recheck_verdict(migration: Migration) -> Verdict:
    """The recorded verdict, with its age, and with the gates of the database checked again; NO-GO
    when there is none of this plan's limits, judgements, models and columns. Raises DatabaseError.
    """
    counts = _audited(migration)
    with translate_errors("checking the gates"), migration.engine.connect() as connection:
        current = database_gates(connection, migration, counts)
        recorded = _verdicts(connection, migration)
        made_of = provenance(migration.plan)
        event = _newest_of(made_of, recorded)
        if event is None:
            return Verdict.of([*current, _no_comparison(recorded, made_of)], {})
        age = _age_gate(connection, migration, event)
    verdict, by_name = _verdict_of(event), {gate.name: gate for gate in current}
    gates = [by_name.get(gate.name, gate) for gate in verdict.gates]
    return Verdict.of([*gates, age], verdict.figures)


def _audited(migration: Migration) -> RowCounts:
    """Of the last audit, since which triggers and queue have told every row without a vector. A
    small table is counted again."""
    with translate_errors("reading the audit"), migration.engine.connect() as connection:
        if coverage.count_blocks(connection, migration) <= coverage.PAGES:
            return coverage.count_rows(connection, migration)
        counts = last_audit(connection, migration)
    return counts or audit(migration)


def _verdicts(connection: sa.Connection, migration: Migration) -> list[ledger.Event]:
    """Oldest first."""
    return [e for e in ledger.events(connection, migration.id) if e.kind == "verdict"]


def _newest_of(made_of: dict[str, Any], recorded: Sequence[ledger.Event]) -> ledger.Event | None:
    """The newest event that was made of exactly this."""
    alike = (event for event in reversed(recorded) if event.detail.get("made_of") == made_of)
    return next(alike, None)


def _verdict_of(event: ledger.Event) -> Verdict:
    gates = [Gate(**gate) for gate in event.detail["gates"]]
    return Verdict(event.detail["verdict"], gates, event.detail["figures"])


def _no_comparison(recorded: Sequence[ledger.Event], made_of: dict[str, Any]) -> Gate:
    """Says what the newest verdict was made of instead, if there is one."""
    observed = "none yet"
    if recorded:
        newest = recorded[-1]
        changes = differences(newest.detail.get("made_of", {}), made_of)
        observed = f"{newest.detail['verdict']} of {newest.at:%Y-%m-%d %H:%M %Z} under other "
        observed += f"parameters: {', '.join(changes[:MAX_CHANGES])}"
    return Gate("comparison", observed, "one under these parameters (run 03 again)", False)


def _age_gate(connection: sa.Connection, migration: Migration, event: ledger.Event) -> Gate:
    """By the database's clock."""
    limit = migration.plan.gates.verdict_hours
    now: datetime = connection.scalars(sa.select(sa.func.now())).one()
    hours = (now - event.at).total_seconds() / 3600
    return Gate("age of the verdict", f"{hours:.1f} h", f"≤ {limit:g} h", hours <= limit)


def require_go(verdict: Verdict, override: str = "") -> str:
    """On what grounds a step may continue: GO, or `override`, a reason to continue without one.

    Raises GateError, which tells the gates that did not pass, in one line.
    """
    if verdict.verdict == GO:
        return GO
    if override:
        return f"{verdict.verdict}, overridden: {override}"
    raise GateError(f"{verdict.verdict}: {failed_gates(verdict)}")


def failed_gates(verdict: Verdict) -> str:
    """The gates that did not pass, in one line."""
    return gates_in_words(gate for gate in verdict.gates if not gate.passed)


def gates_in_words(gates: Iterable[Gate]) -> str:
    """What each of them saw and expected, in one line."""
    return "; ".join(f"{gate.name}: {gate.observed}, expected {gate.limit}" for gate in gates)

"""The verdict: gates whose limits were set before looking, and what they say together."""

from dataclasses import asdict, dataclass

import numpy as np
import sqlalchemy as sa

from ragkit.database import plain_errors
from ragkit.embedders import Embedder
from ragkit.errors import GateError
from ragkit.migration import coverage, index, ledger, metrics
from ragkit.migration.compare import Comparison
from ragkit.migration.metrics import Interval
from ragkit.migration.subject import Migration

GO, NO_GO, INCONCLUSIVE = "GO", "NO-GO", "INCONCLUSIVE"
FIDELITY_ROWS = 32
FIDELITY_COSINE = 0.98
"""Between a stored vector and the same text embedded again; an int8 model varies a little with
the texts it shares a batch with."""


@dataclass(frozen=True)
class Gate:
    """`passed` is None when the interval reaches over the limit: not enough evidence."""

    name: str
    observed: str
    limit: str
    passed: bool | None


@dataclass(frozen=True)
class Verdict:
    verdict: str
    gates: list[Gate]
    metrics: dict[str, dict[str, float]]

    def as_json(self) -> dict:
        return asdict(self)


def decide(migration: Migration, comparison: Comparison, embedder: Embedder) -> Verdict:
    """All gates of the plan, recorded in the ledger: the cut-over reads it there."""
    with plain_errors("deciding"), migration.engine.begin() as connection:
        gates = [
            *_live(connection, migration),
            _fidelity(connection, migration, embedder),
            *_quality(migration, comparison),
        ]
        verdict = Verdict(_together(gates), gates, _figures(comparison))
        migration.record(connection, "verdict", **verdict.as_json())
        if ledger.phase(connection, migration.id) == ledger.BACKFILLED:
            migration.record(connection, ledger.COMPARED, verdict=verdict.verdict)
    return verdict


def recorded(migration: Migration) -> Verdict | None:
    """The newest verdict in the ledger."""
    with plain_errors("reading the verdict"), migration.engine.connect() as connection:
        event = ledger.last(connection, migration.id, "verdict")
    if event is None:
        return None
    gates = [Gate(**gate) for gate in event.detail["gates"]]
    return Verdict(event.detail["verdict"], gates, event.detail["metrics"])


def check(migration: Migration) -> Verdict:
    """The recorded verdict with the gates of the database taken anew. Raises GateError."""
    found = recorded(migration)
    if found is None:
        raise GateError("NO-GO: nothing was compared yet; run the compare notebook first")
    with plain_errors("checking the gates"), migration.engine.connect() as connection:
        live = {gate.name: gate for gate in _live(connection, migration)}
    gates = [live.get(gate.name, gate) for gate in found.gates]
    return Verdict(_together(gates), gates, found.metrics)


def require_go(verdict: Verdict) -> None:
    """Raises GateError with the gates that did not pass, in one line."""
    if verdict.verdict != GO:
        failed = [
            f"{g.name}: {g.observed}, wanted {g.limit}" for g in verdict.gates if not g.passed
        ]
        raise GateError(f"{verdict.verdict}: " + "; ".join(failed))


def _together(gates: list[Gate]) -> str:
    outcomes = {gate.passed for gate in gates}
    return NO_GO if False in outcomes else INCONCLUSIVE if None in outcomes else GO


def _live(connection: sa.Connection, migration: Migration) -> list[Gate]:
    now = coverage.count(connection, migration)
    gates = [
        Gate(
            "coverage",
            f"{now.share:.2%}, {now.pending} pending, {now.empty} without text",
            "100%",
            now.pending == 0,
        )
    ]
    if migration.plan.index_type != "none":
        found = index.state(connection, migration)
        state = "valid" if found.valid else "invalid" if found.exists else "missing"
        gates.append(Gate("index on the new column", state, "valid", found.valid))
    return gates


def _fidelity(connection: sa.Connection, migration: Migration, embedder: Embedder) -> Gate:
    """Stored vectors against their own texts: catches another model's, or stale ones."""
    vector, content = migration.new_vector, migration.content
    query = (
        sa.select(content, vector)
        .select_from(migration.table)
        .where(vector.is_not(None))
        .order_by(sa.func.md5(sa.cast(migration.key, sa.Text)))  # a sample that stays the same
        .limit(FIDELITY_ROWS)
    )
    rows = connection.execute(query).all()
    if not rows:
        return Gate("stored vectors match their texts", "no rows", f"≥ {FIDELITY_COSINE}", False)
    stored = np.array([row[1] for row in rows], np.float32)
    fresh = embedder.embed_documents([row[0] for row in rows])
    lengths = np.linalg.norm(stored, axis=1) * np.linalg.norm(fresh, axis=1)
    lowest = float(((stored * fresh).sum(axis=1) / np.maximum(lengths, 1e-12)).min())
    return Gate(
        "stored vectors match their texts",
        f"lowest cosine {lowest:.3f} of {len(rows)} rows",
        f"≥ {FIDELITY_COSINE}",
        lowest >= FIDELITY_COSINE,
    )


def _quality(migration: Migration, comparison: Comparison) -> list[Gate]:
    plan, (ndcg, recall, _) = migration.plan, metrics.names(comparison.k)
    gates = [
        _at_least(
            f"{name} change", _interval(migration, comparison.change(name)), -plan.gate_margin
        )
        for name in (ndcg, recall)
    ]
    new = _interval(migration, comparison.new_scores[ndcg])
    gates.append(_at_least(f"{ndcg} of the new model", new, plan.gate_ndcg_floor))
    p95 = float(np.percentile(comparison.new.latency_ms, 95))
    gates.append(
        Gate(
            "question to rows, p95",
            f"{p95:.1f} ms",
            f"≤ {plan.gate_p95_ms:g} ms",
            p95 <= plan.gate_p95_ms,
        )
    )
    return gates


def _interval(migration: Migration, values) -> Interval:
    return metrics.interval(np.asarray(values), migration.plan.seed)


def _at_least(name: str, found: Interval, limit: float) -> Gate:
    """By the bounds of the interval, not by the mean: a small sample decides nothing."""
    passed = True if found.low >= limit else False if found.high < limit else None
    sign = "+" if name.endswith("change") else ""
    observed = " to ".join(f"{bound:{sign}.3f}" for bound in (found.low, found.high))
    return Gate(name, f"{found.mean:{sign}.3f} ({observed})", f"≥ {limit:g}", passed)


def _figures(comparison: Comparison) -> dict[str, dict[str, float]]:
    """Means of both sides; overlap is of neither."""
    k, sides = comparison.k, {"old": comparison.old_scores, "new": comparison.new_scores}
    figures = {
        side: {name: round(float(scores[name].mean()), 6) for name in scores}
        for side, scores in sides.items()
    }
    for side, answers in (("old", comparison.old), ("new", comparison.new)):
        figures[side]["p95_ms"] = round(float(np.percentile(answers.latency_ms, 95)), 2)
    figures["both"] = {f"overlap@{k}": round(float(comparison.overlap.mean()), 6)}
    return figures

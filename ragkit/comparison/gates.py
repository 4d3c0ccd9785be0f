"""The gates of a comparison, with limits that were set before looking."""

from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa

from ragkit.comparison import metrics
from ragkit.comparison.compare import Comparison
from ragkit.comparison.metrics import Interval
from ragkit.comparison.neighbours import Neighbourhoods
from ragkit.database import plain_errors
from ragkit.embedders import Embedder
from ragkit.migration.subject import Migration
from ragkit.migration.verdict import Gate, Verdict, live_gates, record

NOT_ASKED = Gate(
    "judged questions of both models",
    "not asked: none are given, or the old model cannot be called",
    "asked",
    None,
)
FIDELITY_ROWS = 32
FIDELITY_COSINE = 0.98
"""Between a stored vector and the same text embedded again; an int8 model varies a little with
the texts it shares a batch with."""


def decide(
    migration: Migration,
    comparison: Comparison | None,
    embedder: Embedder,
    near: Neighbourhoods | None = None,
) -> Verdict:
    """All gates of the plan, recorded in the ledger: the cut-over reads it there. Without a
    comparison by questions the evidence does not decide."""
    tested = _fidelity(_sample(migration), embedder)
    with plain_errors("deciding"), migration.engine.begin() as connection:
        quality = _quality(migration, comparison) if comparison else [NOT_ASKED]
        found = [*live_gates(connection, migration), tested, *quality]
        verdict = Verdict.of(found, _figures(comparison, near))
        record(connection, migration, verdict)
    return verdict


def _sample(migration: Migration) -> Sequence[sa.Row]:
    """Texts and their new vectors: few rows, the same ones each time."""
    vector = migration.new_vector
    query = (
        sa.select(migration.content, vector)
        .select_from(migration.table)
        .where(vector.is_not(None))
        .order_by(sa.func.md5(sa.cast(migration.key, sa.Text)))
        .limit(FIDELITY_ROWS)
    )
    with plain_errors("deciding"), migration.engine.connect() as connection:
        return connection.execute(query).all()


def _fidelity(rows: Sequence[sa.Row], embedder: Embedder) -> Gate:
    """Stored vectors against their own texts: catches another model's, or stale ones."""
    name, limit = "stored vectors match their texts", f"≥ {FIDELITY_COSINE}"
    if not rows:
        return Gate(name, "no rows", limit, False)
    stored = np.array([row[1] for row in rows], np.float32)
    fresh = embedder.embed_documents([row[0] for row in rows])
    lengths = np.linalg.norm(stored, axis=1) * np.linalg.norm(fresh, axis=1)
    lowest = float(((stored * fresh).sum(axis=1) / np.maximum(lengths, 1e-12)).min())
    observed = f"lowest cosine {lowest:.3f} of {len(rows)} rows"
    return Gate(name, observed, limit, lowest >= FIDELITY_COSINE)


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


def _figures(
    comparison: Comparison | None, near: Neighbourhoods | None
) -> dict[str, dict[str, float]]:
    """Means of both sides, and "both": what is of neither."""
    figures: dict[str, dict[str, float]] = {"old": {}, "new": {}, "both": {}}
    if comparison:
        sides = ("old", comparison.old, comparison.old_scores), (
            "new", comparison.new, comparison.new_scores)  # fmt: skip
        for side, answers, scores in sides:
            figures[side] = {name: round(float(scores[name].mean()), 6) for name in scores}
            figures[side]["p95_ms"] = round(float(np.percentile(answers.latency_ms, 95)), 2)
        figures["both"][f"overlap@{comparison.k}"] = round(float(comparison.overlap.mean()), 6)
    if near:
        figures["both"] |= near.figures()
    return figures

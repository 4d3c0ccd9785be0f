"""The gates of a comparison, with limits that were set before looking."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import sqlalchemy as sa

from ragkit.comparison import metrics
from ragkit.comparison.compare import Comparison
from ragkit.comparison.metrics import interval
from ragkit.comparison.neighbours import Neighbourhoods
from ragkit.comparison.statistics import needed
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
NOT_JUDGED = Gate("judged questions", "none: a log shows what is different", "judged", None)
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
    plan, p95 = migration.plan, float(np.percentile(comparison.new.latency_ms, 95))
    observed, limit = f"{p95:.1f} ms", f"≤ {plan.gate_p95_ms:g} ms"
    latency = Gate("question to rows, p95", observed, limit, p95 <= plan.gate_p95_ms)
    if not comparison.judged.qrels:
        return [NOT_JUDGED, latency]
    ndcg, recall, *_ = metrics.names(comparison.k)
    moved = comparison.new_scores - comparison.old_scores
    changes = [
        _at_least(f"{name} change", moved[name], -plan.gate_margin, plan.seed)
        for name in (ndcg, recall)
    ]
    scores = comparison.new_scores[ndcg]
    floor = _at_least(f"{ndcg} of the new model", scores, plan.gate_ndcg_floor, plan.seed)
    return [*changes, floor, latency]


def _at_least(name: str, values: pd.Series, limit: float, seed: int) -> Gate:
    """By the bounds of the interval, not by the mean: where they lie on both sides of the limit,
    a small sample has not decided, and the gate says how many questions would."""
    found = interval(values.to_numpy(), seed)
    passed = True if found.low >= limit else False if found.high < limit else None
    sign = "+" if name.endswith("change") else ""
    bounds = " to ".join(f"{bound:{sign}.3f}" for bound in (found.low, found.high))
    observed = f"{found.mean:{sign}.3f} ({bounds})"
    if passed is None:
        count = needed(found, limit, len(values))
        about = f"about {count:,}" if count else "more than anyone asks"
        observed += f", of {len(values)} questions; to decide takes {about}"
    return Gate(name, observed, f"≥ {limit:g}", passed)


def _figures(
    comparison: Comparison | None, near: Neighbourhoods | None
) -> dict[str, dict[str, float]]:
    """Means of both sides, and "both": what is of neither."""
    figures: dict[str, dict[str, float]] = {"old": {}, "new": {}, "both": {}}
    if comparison:
        sides = ("old", comparison.old, comparison.old_scores), (
            "new", comparison.new, comparison.new_scores)  # fmt: skip
        for side, answers, scores in sides:
            judged = scores if len(scores) else []
            figures[side] = {name: round(float(scores[name].mean()), 6) for name in judged}
            figures[side]["p95_ms"] = round(float(np.percentile(answers.latency_ms, 95)), 2)
        for series in (comparison.overlap, comparison.rbo):
            figures["both"][series.name] = round(comparison.shared(series, 0).mean, 6)
    if near:
        figures["both"] |= near.figures()
    return figures

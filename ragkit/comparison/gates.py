"""The gates of a comparison, with limits that were set before looking."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import sqlalchemy as sa

from ragkit.comparison import metrics
from ragkit.comparison.compare import Comparison
from ragkit.comparison.evidence import Evidence
from ragkit.comparison.index_share import Point
from ragkit.comparison.metrics import Interval, interval
from ragkit.comparison.shadowed import Shadowed
from ragkit.comparison.slices import Slice
from ragkit.comparison.statistics import FEWEST, needed
from ragkit.database import plain_errors
from ragkit.embedders import Embedder
from ragkit.migration.plan import Plan
from ragkit.migration.subject import Migration
from ragkit.migration.verdict import Gate, Verdict, live_gates, record

_JUDGED = "judged questions"
NOT_ASKED = Gate(
    f"{_JUDGED} of both models",
    "not asked: none are given, or the old model cannot be called",
    "asked",
    None,
)
NOT_JUDGED = Gate(_JUDGED, "none: a log shows what is different", "judged", None)
PROXY = Gate(_JUDGED, "none: known items are made of the rows, a proxy", "judged", None)
"""Rows' own words favour a model that goes by words: such questions show that the new model finds
rows at all, never that it is better or worse."""
SHADOW_ERRORS = 0.01
FIDELITY_ROWS = 32
FIDELITY_COSINE = 0.98
"""Between a stored vector and the same text embedded again; an int8 model varies a little with
the texts it shares a batch with."""


def decide(migration: Migration, evidence: Evidence, embedder: Embedder) -> Verdict:
    """All gates of the plan, recorded in the ledger with every figure: the cut-over reads them
    there."""
    tested = _fidelity(_sample(migration), embedder)
    with plain_errors("deciding"), migration.engine.begin() as connection:
        found = [*live_gates(connection, migration), tested, *quality(migration.plan, evidence)]
        verdict = Verdict.of(found, evidence.figures())
        record(connection, migration, verdict)
    return verdict


def quality(plan: Plan, evidence: Evidence) -> list[Gate]:
    """What the evidence alone says; without judged questions it never says GO."""
    asked, found = evidence.asked, []
    if asked is None:
        found.append(NOT_ASKED)
    elif not asked.judged.qrels:
        found.append(NOT_JUDGED)
    elif asked.judged.proxy:
        found += [PROXY, _floor(plan, asked)]
    else:
        found += [*_changes(plan, asked), _floor(plan, asked), *_slices(plan, evidence.slices)]
    if asked is not None:
        p95 = float(np.percentile(asked.new.latency_ms, 95))
        found.append(_latency("question to rows, p95", p95, plan))
    found += [_index(point, plan) for point in evidence.index if point.side == "new"
              and point.default]  # fmt: skip
    return found + (_live(evidence.shadow, plan) if evidence.shadow else [])


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


def _changes(plan: Plan, asked: Comparison) -> list[Gate]:
    ndcg, recall, *_ = metrics.names(asked.k)
    moved = asked.new_scores - asked.old_scores
    better = plan.gate_claim == "better"
    return [
        _above(f"{ndcg} change", moved[ndcg], 0.0 if better else -plan.gate_margin, plan, better),
        _above(f"{recall} change", moved[recall], -plan.gate_margin, plan),
    ]


def _floor(plan: Plan, asked: Comparison) -> Gate:
    ndcg, *_ = metrics.names(asked.k)
    return _above(f"{ndcg} of the new model", asked.new_scores[ndcg], plan.gate_ndcg_floor, plan)


def _above(name: str, values: pd.Series, limit: float, plan: Plan, strictly: bool = False) -> Gate:
    """By the bounds of the interval, not by the mean: where they lie on both sides of the limit,
    a small sample has not decided, and the gate says how many questions would. Fewer than FEWEST
    decide nothing, be they all alike."""
    found = interval(values.to_numpy(), plan.seed)
    passed = _outcome(found, limit, strictly)
    change = name.endswith("change")
    observed = f"{found.mean:{'+' if change else ''}.3f} ({_bounds(found, change)})"
    if passed is None or len(values) < FEWEST:
        count = needed(found, limit, len(values))
        about = f"about {count:,}" if count else "more than anyone asks"
        observed += f", of {len(values)} questions; to decide takes {about}"
        passed = None
    return Gate(name, observed, f"{'>' if strictly else '≥'} {limit:g}", passed)


def _outcome(found: Interval, limit: float, strictly: bool) -> bool | None:
    if strictly:
        return True if found.low > limit else False if found.high <= limit else None
    return True if found.low >= limit else False if found.high < limit else None


def _slices(plan: Plan, found: Sequence[Slice]) -> list[Gate]:
    """Only a loss that is sure fails: most slices are too small to pass by themselves."""
    if not found:
        return []
    worst = min(found, key=lambda each: each.change.high)
    bounds = _bounds(worst.change, True)
    observed = f"{worst.kind} {worst.name} ({worst.n}): {worst.change.mean:+.3f} ({bounds})"
    name = f"worst of {len(found)} slices, change"
    sure = worst.change.high < -plan.gate_margin
    return [Gate(name, observed, f"reaches {-plan.gate_margin:g}", not sure)]


def _index(point: Point, plan: Plan) -> Gate:
    """Of the index alone, against exact search: no model is to blame."""
    observed = f"{point.recall.mean:.3f} ({_bounds(point.recall)}) at {point.setting}"
    limit = plan.gate_index_recall
    passed = _outcome(point.recall, limit, False)
    return Gate("index: recall of exact search", observed, f"≥ {limit:g}", passed)


def _live(shadow: Shadowed, plan: Plan) -> list[Gate]:
    share = shadow.errors / shadow.requests
    observed = f"{shadow.errors} of {shadow.requests:,} failed"
    errors = Gate(
        "live shadow", observed, f"≤ {SHADOW_ERRORS:.0%}", share <= SHADOW_ERRORS
    )  # fmt: skip
    if shadow.shadow_p95_ms is None:
        return [errors]
    return [errors, _latency("live shadow, p95", shadow.shadow_p95_ms, plan)]


def _latency(name: str, p95: float, plan: Plan) -> Gate:
    limit = plan.gate_p95_ms
    return Gate(name, f"{p95:.1f} ms", f"≤ {limit:g} ms", p95 <= limit)


def _bounds(found: Interval, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{found.low:{sign}.3f} to {found.high:{sign}.3f}"

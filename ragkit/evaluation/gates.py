"""The gates of a comparison, with limits that are set before the comparison."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.evaluation.evidence import Evidence
from ragkit.evaluation.index.recall import IndexMeasurement
from ragkit.evaluation.index.settings import OVERSAMPLING
from ragkit.evaluation.judging.evidence import people_gates
from ragkit.evaluation.label_free.shadow_log import ShadowSummary
from ragkit.evaluation.metrics import trec
from ragkit.evaluation.metrics.bootstrap import Interval, bootstrap_interval
from ragkit.evaluation.metrics.significance import MIN_QUESTIONS, questions_needed
from ragkit.evaluation.slices import Slice, worst_slice
from ragkit.migration.exclusive import exclusive
from ragkit.migration.inspection.fidelity import measure_fidelity
from ragkit.migration.migration import Migration
from ragkit.migration.plan.steps import GatesSection
from ragkit.migration.progress.audit import audit
from ragkit.migration.verdict import Gate, Verdict, database_gates, record_verdict

_JUDGED = "judged questions"
NOT_ASKED = Gate(
    name=f"{_JUDGED} of both models",
    observed="none asked: no questions are given, or the old model cannot be called; people can "
    "judge with 03b_judge or ragkit judge",
    limit="required",
    passed=None,
)
NOT_JUDGED = Gate(
    name=_JUDGED,
    observed="none: a log shows what is different, not what is better; people can judge with "
    "03b_judge or ragkit judge",
    limit="required",
    passed=None,
)
PROXY = Gate(
    name=_JUDGED,
    observed="none: known items are a proxy, nobody judged them",
    limit="required",
    passed=None,
)
"""Questions in a row's own words favour a lexical model. They show that the new model finds rows
at all, not that it is better or worse."""
MAX_SHADOW_ERRORS = 0.01
"""Share of the shadow's requests."""


def decide(
    migration: Migration, evidence: Evidence, old: Embedder | None, new: Embedder
) -> Verdict:
    """All gates of the plan. The verdict is recorded in the ledger with every figure; the cut-over
    reads it from there.

    `old` is None when the old model cannot be called. Raises PhaseError, ModelError or
    DatabaseError.
    """
    with exclusive(migration, "compare"):
        migration.require_phase("compare")
        fidelity = [measure_fidelity(migration, migration.new_vector, new).new_gate()]
        if old:
            fidelity += [measure_fidelity(migration, migration.old_vector, old).old_gate()]
        counts = audit(migration)
        with translate_errors("deciding"), migration.engine.begin() as connection:
            gates = [
                *database_gates(connection, migration, counts),
                *fidelity,
                *quality_gates(migration.plan.gates, evidence),
            ]
            verdict = Verdict.of(gates, evidence.figures())
            record_verdict(connection, migration, verdict)
    return verdict


def quality_gates(limits: GatesSection, evidence: Evidence) -> list[Gate]:
    """The gates that need the evidence only. Without judged questions they never amount to GO."""
    gates = _question_gates(limits, evidence)
    if evidence.people:
        if _people_suffice(evidence):
            gates = [gate for gate in gates if gate not in (NOT_ASKED, NOT_JUDGED, PROXY)]
        gates += people_gates(evidence.people)
    if comparison := evidence.comparison:
        p95_ms = float(np.percentile(comparison.new.latency_ms, 95))
        gates.append(_latency_gate("question to rows, p95", p95_ms, limits))
    gates += [
        _index_gate(measurement, limits)
        for measurement in evidence.index
        if measurement.side == "new" and measurement.default
    ]
    return gates + (_shadow_gates(evidence.shadow, limits) if evidence.shadow else [])


def _people_suffice(evidence: Evidence) -> bool:
    """Whether people's judgements stand in for judged questions: they compared both models, or
    judged the new one where the old one has no lists any more."""
    people = evidence.people
    if people is None:
        return False
    return people.compares or (people.precision is not None and not evidence.old_can_be_asked)


def _question_gates(limits: GatesSection, evidence: Evidence) -> list[Gate]:
    comparison, seed = evidence.comparison, evidence.seed
    if comparison is None:
        return [NOT_ASKED]
    if not comparison.questions.qrels:
        return [NOT_JUDGED]
    ndcg, recall, *_ = trec.metric_names(comparison.k)
    old, new = comparison.old_scores, comparison.new_scores
    floor = _mean_gate(f"{ndcg} of the new model", new[ndcg], limits.ndcg_floor, seed)
    if comparison.questions.is_proxy:
        return [PROXY, floor]
    is_superiority = limits.claim == "better"
    return [
        _mean_gate(
            name=f"{ndcg} change",
            values=new[ndcg] - old[ndcg],
            limit=0.0 if is_superiority else -limits.margin,
            seed=seed,
            is_strict=is_superiority,
            signed=True,
        ),
        _mean_gate(
            name=f"{recall} change",
            values=new[recall] - old[recall],
            limit=-limits.margin,
            seed=seed,
            signed=True,
        ),
        floor,
        *_slice_gates(evidence.slices, limits),
    ]


def _mean_gate(
    name: str, values: pd.Series, limit: float, seed: int,
    is_strict: bool = False, signed: bool = False,
) -> Gate:  # fmt: skip
    """Compares the interval of the mean with the limit, not the mean itself.

    The gate is undecided when the limit lies inside the interval, and with fewer than
    MIN_QUESTIONS questions in any case; it then says how many questions would decide.
    """
    interval = bootstrap_interval(values.to_numpy(), seed)
    passed = _is_above(interval, limit, is_strict)
    observed = f"{interval.mean:{'+' if signed else ''}.3f} ({interval.bounds(signed=signed)})"
    if passed is None or len(values) < MIN_QUESTIONS:
        count = questions_needed(interval, limit, len(values))
        needed = f"about {count:,}" if count else "more than can be asked"
        observed += f", of {len(values)} questions; to decide takes {needed}"
        passed = None
    return Gate(name, observed, f"{'>' if is_strict else '≥'} {limit:g}", passed)


def _is_above(interval: Interval, limit: float, is_strict: bool = False) -> bool | None:
    """None when the limit lies inside the interval."""
    if is_strict:
        return True if interval.low > limit else False if interval.high <= limit else None
    return True if interval.low >= limit else False if interval.high < limit else None


def _slice_gates(slices: Sequence[Slice], limits: GatesSection) -> list[Gate]:
    """Fails only when a whole interval is below the margin: most slices are too small to pass."""
    worst = worst_slice(slices)
    if worst is None:
        return []
    change = f"{worst.change.mean:+.3f} ({worst.change.bounds(signed=True)})"
    return [
        Gate(
            name=f"worst of {len(slices)} slices, change",
            observed=f"{worst.kind} {worst.name} ({worst.n}): {change}",
            limit=f"reaches {-limits.margin:g}",
            passed=worst.change.high >= -limits.margin,
        )
    ]


def _index_gate(measurement: IndexMeasurement, limits: GatesSection) -> Gate:
    """Of the index alone, against exact search; the model plays no part."""
    recall = measurement.recall
    passed = _is_above(recall, limits.index_recall)
    observed = f"{recall.mean:.3f} ({recall.bounds()}) at {measurement.setting}, of "
    observed += f"{measurement.n} {measurement.queries}"
    if not passed and measurement.setting.startswith(OVERSAMPLING):
        observed += "; raise index.oversampling and run the backfill again, which rebuilds nothing"
    return Gate("index: recall of exact search", observed, f"≥ {limits.index_recall:g}", passed)


def _shadow_gates(shadow: ShadowSummary, limits: GatesSection) -> list[Gate]:
    errors = Gate(
        name="live shadow",
        observed=f"{shadow.errors} of {shadow.requests:,} failed",
        limit=f"≤ {MAX_SHADOW_ERRORS:.0%}",
        passed=shadow.errors / shadow.requests <= MAX_SHADOW_ERRORS,
    )
    if shadow.shadow_p95_ms is None:
        return [errors]
    return [errors, _latency_gate("live shadow, p95", shadow.shadow_p95_ms, limits)]


def _latency_gate(name: str, p95_ms: float, limits: GatesSection) -> Gate:
    return Gate(name, f"{p95_ms:.1f} ms", f"≤ {limits.p95_ms:g} ms", p95_ms <= limits.p95_ms)

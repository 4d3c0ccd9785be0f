"""All evidence of a comparison, collected once; what cannot be measured is left out."""

from dataclasses import asdict, dataclass

import numpy as np

from ragkit.evaluation.comparison import Comparison
from ragkit.evaluation.cutoff import CutoffCalibration, recalibrate
from ragkit.evaluation.hybrid.measure import Hybrid, measure_hybrid
from ragkit.evaluation.index.loss import IndexLoss, index_losses
from ragkit.evaluation.index.recall import IndexMeasurement, measure_index
from ragkit.evaluation.judging.evidence import JudgedByPeople, judged_by_people
from ragkit.evaluation.judging.old_lists import by_bridge, logged
from ragkit.evaluation.judging.record.standing import read_judgements
from ragkit.evaluation.label_free.neighbours import Neighbourhoods, compare_neighbourhoods
from ragkit.evaluation.label_free.shadow_log import ShadowSummary, read_shadow_log
from ragkit.evaluation.label_free.storage import StorageVariant, storage_variants
from ragkit.evaluation.metrics.rank_overlap import least_overlap
from ragkit.evaluation.metrics.significance import MetricDifference, metric_differences
from ragkit.evaluation.runs import RetrievalRun
from ragkit.evaluation.slices import Slice, compare_slices, worst_slice
from ragkit.migration.migration import Migration
from ragkit.migration.plan.plan import file_path

_NEIGHBOUR_FIGURES = ("k", "rows", "duplicates", "overlap", "rbo", "spearman", "cosine")
"""Fields of Neighbourhoods for the file: no arrays, and no texts of rows."""


@dataclass(frozen=True)
class Evidence:
    """What a comparison measured. The same seed gives the same figures, except times.

    `comparison` is None without questions or without the old model; `differences`, `slices`
    and `losses` are empty without judgements; `left_out` says which slices are not made, and why;
    `cutoff` is None without questions and for a distance other than cosine, `shadow` without a
    log, `people` without judgements by `ragkit judge`, `hybrid` where full text cannot be searched.
    The rest needs stored vectors only.
    `old_can_be_asked`: the old model, or a log of its answers, has lists to compare with.
    """

    seed: int
    comparison: Comparison | None
    differences: list[MetricDifference]
    slices: list[Slice]
    left_out: list[str]
    neighbourhoods: Neighbourhoods
    cutoff: CutoffCalibration | None
    index: list[IndexMeasurement]
    losses: list[IndexLoss]
    storage: list[StorageVariant]
    shadow: ShadowSummary | None
    people: JudgedByPeople | None = None
    hybrid: Hybrid | None = None
    old_can_be_asked: bool = True

    @property
    def least_overlap(self) -> float:
        """What the first k rows of any two models share, because the table has so few rows: more
        than 0 makes an overlap@k empty."""
        part = self.neighbourhoods
        return least_overlap(part.k, part.rows + (part.duplicates if self.comparison else -1))

    def figures(self) -> dict[str, object]:
        """Every figure with its interval, as plain data for JSON."""
        comparison = self.comparison
        neighbours = {
            name: value
            for name, value in asdict(self.neighbourhoods).items()
            if name in _NEIGHBOUR_FIGURES
        }
        agreement = _agreement(comparison, self.seed) if comparison else neighbours
        worst = worst_slice(self.slices)
        return {
            "seed": self.seed,
            "questions": _question_counts(comparison) if comparison else None,
            "metrics": {difference.metric: asdict(difference) for difference in self.differences},
            "slices": [asdict(part) for part in self.slices],
            "slices_left_out": self.left_out,
            "worst_slice": asdict(worst) if worst else None,
            "shared_by": "questions" if comparison else "stored vectors",
            "first_row_changed": agreement.get("first_row_changed"),
            "overlap": agreement["overlap"],
            "least_overlap": self.least_overlap,
            "rbo": agreement["rbo"],
            "tau": agreement.get("tau"),
            "p50_ms": _latencies(comparison, 50) if comparison else None,
            "p95_ms": _latencies(comparison, 95) if comparison else None,
            "cka": asdict(self.neighbourhoods.cka),
            "neighbours": neighbours,
            "cutoff": _cutoff_figures(self.cutoff) if self.cutoff else None,
            "index": [asdict(measurement) for measurement in self.index],
            "index_losses": [asdict(loss) for loss in self.losses],
            "variants": [asdict(variant) for variant in self.storage],
            "shadow": asdict(self.shadow) if self.shadow else None,
            "people": self.people.figures() if self.people else None,
            "hybrid": asdict(self.hybrid) if self.hybrid else None,
        }


def collect_evidence(
    migration: Migration, comparison: Comparison | None, old_can_be_asked: bool = True
) -> Evidence:
    """Measures everything that can be measured.

    Raises PhaseError, SpaceNotReady when too few rows have both vectors, ConfigError for a shadow
    log of other models or for judgements that cannot be read, or DatabaseError.
    """
    migration.require_phase("compare")
    seed = migration.plan.evaluation.seed
    judged = comparison if comparison and comparison.questions.qrels else None
    slices, left_out = compare_slices(migration, judged) if judged else ([], [])
    return Evidence(
        seed=seed,
        comparison=comparison,
        differences=metric_differences(judged.old_scores, judged.new_scores, seed)
        if judged
        else [],
        slices=slices,
        left_out=left_out,
        neighbourhoods=compare_neighbourhoods(migration),
        cutoff=_calibrate(migration, comparison),
        index=measure_index(migration, *_asked(comparison)),
        losses=_index_losses(judged, seed) if judged else [],
        storage=storage_variants(migration),
        shadow=_read_shadow(migration),
        people=_read_people(migration, old_can_be_asked),
        hybrid=measure_hybrid(migration, judged) if judged else None,
        old_can_be_asked=old_can_be_asked,
    )


def _read_people(migration: Migration, old_can_be_asked: bool) -> JudgedByPeople | None:
    """None without any judgement. What a bridge told of the old model's lists counts only where
    nothing better can."""
    judging, model = migration.plan.judging, migration.plan.old.model
    named = [logged(model)] if migration.plan.evaluation.old_run else []
    if not old_can_be_asked:
        named.append(by_bridge(model))
    judgements = read_judgements(file_path(judging.folder), migration, *named)
    if not judgements.answers and not judgements.left_out:
        return None
    return judged_by_people(judgements, migration.plan.gates, judging.rows)


def _calibrate(migration: Migration, comparison: Comparison | None) -> CutoffCalibration | None:
    if comparison is None or migration.plan.table.distance != "cosine":
        return None
    return recalibrate(comparison, migration.plan.evaluation.cutoff, migration.plan.evaluation.seed)


def _index_losses(judged: Comparison, seed: int) -> list[IndexLoss]:
    return index_losses(judged.questions.qrels, judged.old, judged.new, judged.k, seed)


def _asked(comparison: Comparison | None) -> list[RetrievalRun | None]:
    """The runs of both models, as far as they have searched."""
    runs = (comparison.old, comparison.new) if comparison else ()
    return [run if run.vectors else None for run in runs]


def _read_shadow(migration: Migration) -> ShadowSummary | None:
    plan, section = migration.plan, migration.plan.evaluation
    if not section.shadow_log:
        return None
    log = file_path(section.shadow_log)
    return read_shadow_log(log, plan.old.model, plan.new.model, section.seed)


def _question_counts(comparison: Comparison) -> dict[str, object]:
    questions = comparison.questions
    return {
        "asked": len(questions.texts),
        "judged": len(questions.qrels),
        "unanswerable": questions.unanswerable,
        "gone": questions.missing_rows,
        "proxy": questions.is_proxy,
        "alike": comparison.duplicates,
        "unfindable": len(comparison.unfindable),
    }


def _agreement(comparison: Comparison, seed: int) -> dict[str, object]:
    """How much the ranked lists of both models agree."""
    names = ("first_row_changed", "overlap", "rbo", "tau")
    return {
        name: asdict(comparison.mean_agreement(getattr(comparison, name), seed)) for name in names
    }


def _latencies(comparison: Comparison, percentile: float) -> dict[str, float | None]:
    """In ms, from a question to its rows; None for lists of a log."""
    return {
        side: round(float(np.percentile(run.latency_ms, percentile)), 2) if run.vectors else None
        for side, run in (("old", comparison.old), ("new", comparison.new))
    }


def _cutoff_figures(calibration: CutoffCalibration) -> dict[str, object]:
    """Without the distances of each question."""
    return {
        name: value
        for name, value in asdict(calibration).items()
        if not isinstance(value, np.ndarray)
    }

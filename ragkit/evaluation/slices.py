"""The change of a metric in slices of the questions, so that a good mean cannot hide a loss."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ragkit.evaluation.comparison import Comparison
from ragkit.evaluation.facets import Facets, question_facets
from ragkit.evaluation.metrics import trec
from ragkit.evaluation.metrics.bootstrap import CONFIDENCE, Interval, bootstrap_interval
from ragkit.migration.migration import Migration

MIN_SLICE_QUESTIONS = 10
"""Smaller slices of a kind are merged into one, "other"."""


@dataclass(frozen=True)
class Slice:
    """The mean change of `metric` over the `n` questions of a slice.

    The interval is wider than that of all questions: it is corrected for the number of slices
    (Bonferroni).
    """

    kind: str
    name: str
    metric: str
    n: int
    change: Interval


def compare_slices(migration: Migration, comparison: Comparison) -> list[Slice]:
    """The slices by every facet of the questions; [] without judgements. Raises DatabaseError."""
    if not comparison.questions.qrels:
        return []
    facets = question_facets(migration, comparison.questions)
    return slices_by_facet(comparison, facets, migration.plan.evaluation.seed)


def slices_by_facet(comparison: Comparison, facets: Facets, seed: int) -> list[Slice]:
    """Slices of at least MIN_SLICE_QUESTIONS questions; smaller ones are merged into "other".

    A facet with a single slice is left out: that slice would repeat the figure of all questions.
    """
    metric = trec.metric_names(comparison.k)[0]
    change = comparison.new_scores[metric] - comparison.old_scores[metric]
    slices: list[tuple[str, str, np.ndarray]] = []
    for kind, names in facets.items():
        groups = _group(change, names)
        if len(groups) > 1:
            slices += [
                (kind, name, values)
                for name, values in sorted(groups.items())
                if len(values) >= MIN_SLICE_QUESTIONS
            ]
    confidence = 1 - (1 - CONFIDENCE) / max(len(slices), 1)
    return [
        Slice(
            kind=kind,
            name=name,
            metric=metric,
            n=len(values),
            change=bootstrap_interval(values, seed, confidence=confidence),
        )
        for kind, name, values in slices
    ]


def _group(change: pd.Series, names: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The changes of the questions of each slice, with the small slices in "other"."""
    values = {str(question): value for question, value in change.items() if question in names}
    counts = Counter(names[question] for question in values)
    groups: dict[str, list[float]] = defaultdict(list)
    for question, value in values.items():
        name = names[question]
        groups[name if counts[name] >= MIN_SLICE_QUESTIONS else "other"].append(value)
    return {name: np.array(group) for name, group in groups.items()}

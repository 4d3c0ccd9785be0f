"""The change of a metric in slices of the questions, so that a good mean cannot hide a loss."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ragkit.evaluation.comparison import Comparison
from ragkit.evaluation.facets import Facets, question_facets
from ragkit.evaluation.metrics import trec
from ragkit.evaluation.metrics.bootstrap import CONFIDENCE, Interval, bootstrap_interval
from ragkit.migration.migration import Migration

MIN_SLICE_QUESTIONS = 20
"""Smaller slices of a kind are merged into one, "other"."""
MIN_KNOWN_SHARE = 0.5
"""Of the judged questions: a kind that is known of fewer says nothing about the rest."""


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


def compare_slices(migration: Migration, comparison: Comparison) -> tuple[list[Slice], list[str]]:
    """The slices by every facet of the questions, and a sentence about each facet that is left out
    as in `known_facets`; none of either without judgements. Raises DatabaseError."""
    if not comparison.questions.qrels:
        return [], []
    facets, left_out = known_facets(comparison, question_facets(migration, comparison.questions))
    return slices_by_facet(comparison, facets, migration.plan.evaluation.seed), left_out


def known_facets(comparison: Comparison, facets: Facets) -> tuple[Facets, list[str]]:
    """The facets that at least MIN_KNOWN_SHARE of the judged questions have, and a sentence about
    each of the others that some question has."""
    judged = set(comparison.questions.qrels)
    kept, left_out, total = {}, [], len(judged)
    for kind, names in facets.items():
        unknown = len(judged - set(names))
        if unknown <= (1 - MIN_KNOWN_SHARE) * total:
            kept[kind] = names
        elif names:
            left_out.append(
                f"No slices by {kind}: it is unclear for {unknown} of {total} judged questions"
            )
    return kept, left_out


def worst_slice(slices: Sequence[Slice]) -> Slice | None:
    """The slice of which the evidence is surest that it loses: the lowest upper bound."""
    return min(slices, key=lambda part: part.change.high, default=None)


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

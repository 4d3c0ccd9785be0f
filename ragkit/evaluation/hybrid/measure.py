"""Whether vectors and full text together find more than either, and with which weight."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ragkit.evaluation.comparison import Comparison
from ragkit.evaluation.hybrid.fusion import fuse_all
from ragkit.evaluation.hybrid.lists import by_vectors, by_words
from ragkit.evaluation.metrics import trec
from ragkit.evaluation.metrics.bootstrap import Interval, bootstrap_interval
from ragkit.evaluation.metrics.trec import Rankings
from ragkit.migration.migration import Migration

WEIGHTS = tuple(round(0.1 * step, 1) for step in range(11))
"""Of full text: 0 is vectors alone, 1 is full text alone."""
FOLDS = 5


@dataclass(frozen=True)
class HybridSide:
    """`curve` is the mean of the metric at each of WEIGHTS. `weight` is the best one. `fused` is
    what such a choice finds on questions that it was not made by, and `gain` its change against
    vectors alone; the interval is of questions."""

    model: str
    curve: list[float]
    weight: float
    fused: float
    gain: Interval

    @property
    def alone(self) -> float:
        """By vectors."""
        return self.curve[0]


@dataclass(frozen=True)
class Hybrid:
    """Of judged questions. `app_weight` is the plan's, which the app uses; `at_app_weight` is the
    metric of the new model with it."""

    metric: str
    n: int
    old: HybridSide
    new: HybridSide
    app_weight: float

    @property
    def text_alone(self) -> float:
        return self.new.curve[-1]

    @property
    def at_app_weight(self) -> float:
        return float(np.interp(self.app_weight, WEIGHTS, self.new.curve))


def measure_hybrid(migration: Migration, comparison: Comparison) -> Hybrid | None:
    """None without judgements, without the old model's own lists, or where the table cannot be
    searched by words as it is. Raises DatabaseError."""
    qrels = comparison.questions.qrels
    if not qrels or not comparison.old.vectors:
        return None
    words = by_words(migration, comparison.questions)
    if words is None:
        return None
    k, seed = comparison.k, migration.plan.evaluation.seed
    sides = []
    for binding, run in ((migration.old, comparison.old), (migration.new, comparison.new)):
        vectors = by_vectors(migration, binding, run)
        sides.append(_side(run.model, _scores(qrels, vectors, words, k), seed))
    old, new = sides
    metric = trec.metric_names(k)[0]
    return Hybrid(metric, len(qrels), old, new, migration.plan.evaluation.text_weight)


def _scores(
    qrels: trec.Qrels, vectors: Rankings, words: Mapping[str, list[str]], k: int
) -> pd.DataFrame:
    """Of shape (questions, WEIGHTS)."""
    metric = trec.metric_names(k)[0]
    return pd.DataFrame(
        {
            weight: trec.score_questions(qrels, fuse_all(vectors, words, weight, k), k)[metric]
            for weight in WEIGHTS
        }
    )


def _side(model: str, scores: pd.DataFrame, seed: int) -> HybridSide:
    """The weight of each fold is chosen by the others: the best of eleven looks better than it is
    on the questions that chose it."""
    values = scores.to_numpy()
    means = values.mean(axis=0)
    folds = np.random.default_rng(seed).permutation(len(values)) % FOLDS
    held_out = np.zeros(len(values))
    for fold in range(FOLDS):
        apart = folds == fold
        if apart.all() or not apart.any():
            continue
        chosen = values[~apart].mean(axis=0).argmax()
        held_out[apart] = values[apart, chosen]
    gain = bootstrap_interval(held_out - values[:, 0], seed)
    best = WEIGHTS[int(means.argmax())]
    return HybridSide(model, [float(mean) for mean in means], best, float(held_out.mean()), gain)

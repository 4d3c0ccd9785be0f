"""The change of a metric in parts of the questions, so that a mean cannot hide a loss."""

from dataclasses import dataclass

import pandas as pd

from ragkit.comparison import metrics
from ragkit.comparison.compare import Comparison
from ragkit.comparison.metrics import Interval, interval
from ragkit.comparison.statistics import ERROR
from ragkit.comparison.traits import Traits, traits
from ragkit.migration.subject import Migration

FEWEST = 10
"""Questions a slice must have to be judged by; smaller ones are counted together."""


@dataclass(frozen=True)
class Slice:
    """The change of `metric` over `n` questions. Its interval is wider than that of the whole:
    corrected for the number of slices (Bonferroni)."""

    kind: str
    name: str
    metric: str
    n: int
    change: Interval


def slices(migration: Migration, asked: Comparison) -> list[Slice]:
    """By the `traits` of the questions; [] without judgements."""
    if not asked.judged.qrels:
        return []
    return of_traits(asked, traits(migration, asked.judged), migration.plan.seed)


def of_traits(asked: Comparison, kinds: Traits, seed: int) -> list[Slice]:
    """Slices of fewer than FEWEST questions stand together as "other"; a kind with one slice says
    nothing that the whole does not, and is left out."""
    metric = metrics.names(asked.k)[0]
    change = asked.new_scores[metric] - asked.old_scores[metric]
    found: list[tuple[str, str, pd.Series]] = []
    for kind, of_question in kinds.items():
        names = pd.Series(of_question, dtype=object).reindex(change.index).dropna()
        small = names.groupby(names).transform("size") < FEWEST
        parts = change[names.index].groupby(names.mask(small, "other"))
        if len(parts) > 1:
            found += [(kind, str(name), part) for name, part in parts if len(part) >= FEWEST]
    confidence = 1 - 2 * ERROR / max(len(found), 1)
    return [
        Slice(kind, name, metric, len(part), interval(part.to_numpy(), seed, None, confidence))
        for kind, name, part in found
    ]

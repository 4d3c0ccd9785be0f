"""Whether several judges say the same, and whether one of them looks at all."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ragkit.evaluation.judging.record.lines import Preference, Relevance

ONE_KEY = 10
"""Answers by the same key, and none by another, from which on it is said."""


@dataclass(frozen=True)
class Agreement:
    """Of judges who answered the same. `questions` counts what at least two of them judged, and
    `same` the share of pairs of answers that are alike. `alpha` is Krippendorff's, for differences
    of an interval (1 new, 0 neither better, -1 old): 1 is perfect, 0 is chance. None where there
    is nothing to compare, or all answers are the same."""

    judged: int
    same: float | None
    alpha: float | None


def agreement(answers: Sequence[Preference | Relevance]) -> Agreement:
    """Of answers of one kind. What nobody was asked tells nothing."""
    units: dict[object, list[float]] = {}
    for answer in answers:
        if not answer.asked:
            continue
        if isinstance(answer, Relevance):
            units.setdefault((answer.question, answer.row), []).append(answer.grade)
        else:
            units.setdefault(answer.question, []).append(answer.value)
    several = [np.array(values) for values in units.values() if len(values) > 1]
    if not several:
        return Agreement(0, None, None)
    alike = sum((v[:, None] == v).sum() - len(v) for v in several)
    pairs = sum(len(v) * (len(v) - 1) for v in several)
    return Agreement(len(several), float(alike / pairs), alpha(several))


def alpha(units: Sequence[np.ndarray]) -> float | None:
    """Krippendorff's alpha for interval data, of units with the values that each was given.

    1 minus the mean squared difference within units over that of all values (Krippendorff 2011,
    "Computing Krippendorff's Alpha-Reliability", section E). Units with one value count in
    neither. None where all values are the same.
    """
    several = [unit for unit in units if len(unit) > 1]
    values = np.concatenate(several)
    expected = 2 * values.var(ddof=1)
    if not expected:
        return None
    observed = sum(2 * len(unit) * unit.var(ddof=1) for unit in several) / len(values)
    return float(1 - observed / expected)


def one_key(answers: Sequence[Preference | Relevance]) -> dict[str, str]:
    """The judges who only ever pressed one key, and the key."""
    keys: dict[str, Counter[str]] = {}
    for answer in answers:
        if answer.asked:
            keys.setdefault(answer.judge, Counter())[answer.answer] += 1
    return {
        judge: next(iter(counts))
        for judge, counts in keys.items()
        if len(counts) == 1 and counts.total() >= ONE_KEY
    }

"""The goals of a rescued service, where their values are in rescue.json, and the ratio that most of
them are about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ragkit.evaluation.metrics.bootstrap import RESAMPLES, Interval, percentile_interval
from tests.bench.figures import Figure, Goal


@dataclass(frozen=True)
class Sought:
    """A goal, the part that measures it, the place of its value in the sections, and of what
    explains a value that misses it."""

    goal: Goal
    part: str
    place: tuple[str, ...]
    reason: tuple[str, ...] = ()

    def figure(self, sections: Mapping[str, Any], reasons: Mapping[str, str]) -> Figure:
        """Without a value where the part has none: `reasons` says why, by part."""
        value = _find(sections, self.place)
        if value is None:
            return Figure(self.goal, [], reasons.get(self.part, "there is no value"))
        why = _find(sections, self.reason) if self.reason else None
        return Figure(self.goal, [float(value)], str(why or ""))


SOUGHT = (
    Sought(
        Goal("seconds_to_first_answer", 60,
             "from the start of `ragkit rescue` to the first right answer of the app",
             at_most=True),
        "sandbox", ("seconds_to_first_answer",),
    ),
    Sought(
        Goal("sandbox_pairs", 26, "texts that were bought beforehand", at_most=True),
        "sandbox", ("bought",),
    ),
    Sought(
        Goal("sandbox_traffic", 0.97,
             "nDCG@10 ÷ that of the native search: the questions one after the other"),
        "sandbox", ("quality_measured", "traffic", "ratio", "mean"), ("explanation",),
    ),
    Sought(
        Goal("sandbox_first", 0.97, "the same, and each question is the first one"),
        "sandbox", ("quality_measured", "first", "ratio", "mean"), ("explanation",),
    ),
    Sought(
        Goal("cranfield_traffic", 0.97, "as `sandbox_traffic`, with 200 pairs"),
        "cranfield", ("cranfield", "traffic", "ratio", "mean"), ("cranfield", "refused"),
    ),
    Sought(
        Goal("cranfield_first", 0.97, "as `sandbox_first`, with 200 pairs"),
        "cranfield", ("cranfield", "first", "ratio", "mean"), ("cranfield", "refused"),
    ),
    Sought(
        Goal("real_overlap", 0.77, "neighbour overlap@10 of the bridge from text-embedding-005 "
             "into textembedding-gecko@001, on held-out rows"),
        "real", ("real_vectors", "overlap", "mean"), ("real_vectors", "refused"),
    ),
    Sought(
        Goal("random_refused", 1, "1: no bridge leads into a column of random vectors"),
        "sandbox", ("random_vectors", "is_refused"),
    ),
)  # fmt: skip


def ratio(rescued: np.ndarray, native: np.ndarray, seed: int) -> Interval:
    """The mean of `rescued` ÷ that of `native`, of shape (n,): the same questions, which are
    resampled together. Few questions that the native search does not answer can be all of a
    resample, which is left out then."""
    drawn = np.random.default_rng(seed).integers(len(native), size=(RESAMPLES, len(native)))
    means = rescued[drawn].mean(axis=1), native[drawn].mean(axis=1)
    is_answered = means[1] > 0
    ratios = means[0][is_answered] / means[1][is_answered]
    return percentile_interval(float(rescued.mean() / native.mean()), ratios)


def _find(sections: Any, place: tuple[str, ...]) -> Any:
    for name in place:
        if sections is None:
            return None
        sections = sections.get(name)
    return sections

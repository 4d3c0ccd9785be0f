"""Judges who look after every click: how often they are wrong, and when they may stop.

    python -m tests.evaluation.judging.simulated

A click is the sign of a question's change of nDCG on the shipped sample, shifted to a true mean
difference; one in ten is wrong, and lists that differ little are equal.
"""

from dataclasses import dataclass
from functools import cache
from math import ceil
from statistics import NormalDist

import numpy as np

from ragkit.evaluation.judging.effort import NOTICED, SLIPS
from ragkit.evaluation.metrics import trec
from ragkit.evaluation.questions import read_questions
from ragkit.evaluation.samples import normalise
from ragkit.sandbox.sample import DATA, QUESTIONS, sample_rows
from ragkit.sequential.betting import ERROR, sequential_test
from tests.conftest import embedder_of

OLD, NEW = "wordllama-256", "all-minilm-l6-v2"
K, MARGIN, SIMULATIONS, MAX_CLICKS = 10, 0.1, 1000, 1000
POWER = 0.8
DIFFERENCES = (0.0, 0.05, 0.10)


@cache
def changes() -> np.ndarray:
    """Of nDCG, by question."""
    judged = read_questions(QUESTIONS, DATA / "qrels.tsv")
    rows = sample_rows()
    keys = np.array([str(row["id"]) for row in rows])
    scores = []
    for model in map(embedder_of, (OLD, NEW)):
        texts = [row["content"] for row in rows]
        vectors = normalise(model.embed_documents(texts))
        rankings = {}
        for question, text in judged.texts.items():
            away = -vectors @ normalise([model.embed_query(text)])[0]
            rankings[question] = list(keys[np.argsort(away, kind="stable")[:K]])
        scores.append(trec.score_questions(judged.qrels, rankings, K)["nDCG@10"].to_numpy())
    return scores[1] - scores[0]


@dataclass(frozen=True)
class Clicks:
    """Shares of clicks for the new model and for the old one; the rest are equal."""

    new: float
    old: float

    @property
    def net(self) -> float:
        return self.new - self.old

    @property
    def spread(self) -> float:
        """The standard deviation of a click, which is 1, 0 or -1."""
        return (self.new + self.old - self.net**2) ** 0.5

    @classmethod
    def at(cls, difference: float) -> "Clicks":
        """Where the mean nDCG differs so."""
        shifted = changes() - changes().mean() + difference
        new, old = ((sign * shifted >= NOTICED).mean() for sign in (1, -1))
        return cls(new - SLIPS * (new - old), old + SLIPS * (new - old))

    @classmethod
    def at_the_margin(cls) -> "Clicks":
        """As many equal ones as between equal models."""
        equal = cls.at(0.0)
        told = equal.new + equal.old
        return cls((told - MARGIN) / 2, (told + MARGIN) / 2)


def simulate(clicks: Clicks, seed: int = 1) -> tuple[float, float, float]:
    """The shares of GO and NO-GO within MAX_CLICKS, and the median number of clicks to a verdict;
    inf where more than half have none."""
    rng = np.random.default_rng(seed)
    shares = [clicks.new, 1 - clicks.new - clicks.old, clicks.old]
    drawn = rng.choice([1.0, 0.0, -1.0], (SIMULATIONS, MAX_CLICKS), p=shares)
    results = [sequential_test(run, -MARGIN) for run in drawn]
    decided = [result.decided_at or np.inf for result in results]
    go, no_go = (np.mean([r.above is value for r in results]) for value in (True, False))
    return float(go), float(no_go), float(np.median(decided))


def fixed_number(clicks: Clicks) -> int | None:
    """Clicks of a test that is looked at once, at the end, and finds this four times in five."""
    gap = clicks.net + MARGIN
    deviations = NormalDist().inv_cdf(1 - ERROR) + NormalDist().inv_cdf(POWER)
    return ceil((deviations * clicks.spread / gap) ** 2) if gap > 1e-9 else None


if __name__ == "__main__":
    print(
        "| nDCG of the new model | net preference | GO | NO-GO | clicks, median | looked at once |"
    )
    print("|---|---|---|---|---|---|")
    kinds = {"worse by the margin": Clicks.at_the_margin()}
    kinds |= {f"{d:+.2f}": Clicks.at(d) for d in DIFFERENCES}
    for name, clicks in kinds.items():
        go, no_go, median = simulate(clicks)
        more = median if median < np.inf else f"more than {MAX_CLICKS}"
        print(
            f"| {name} | {100 * clicks.net:+.0f} | {go:.3f} | {no_go:.3f} | {more} | "
            f"{fixed_number(clicks) or '–'} |"
        )

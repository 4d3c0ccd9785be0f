"""Several ranked lists as one, by the ranks alone: their scores cannot be compared."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

CONSTANT = 60
"""Of the source: the first rows of a list do not count for more than another list's agreement."""


def fuse(lists: Iterable[Sequence[str]]) -> list[str]:
    """Reciprocal rank fusion, best first; ties as in the first list that has them.

    Source: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion Outperforms Condorcet and
    Individual Rank Learning Methods", SIGIR 2009.
    """
    scores: dict[str, float] = defaultdict(float)
    for ranked in lists:
        for rank, key in enumerate(ranked, 1):
            scores[key] += 1 / (CONSTANT + rank)
    return sorted(scores, key=lambda key: -scores[key])

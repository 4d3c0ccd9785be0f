"""Two ranked lists as one, by their ranks alone."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from ragkit.evaluation.metrics.trec import Rankings
from ragkit.retrieval.rescue.candidates.ranking import CONSTANT


def fuse(vectors: Sequence[str], words: Sequence[str], weight: float, k: int) -> list[str]:
    """The first k rows by weighted reciprocal rank: `weight` of full text, the rest of vectors; 0
    and 1 are one list alone. Ties are as in the list of the vectors.

    Source: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion Outperforms Condorcet and
    Individual Rank Learning Methods", SIGIR 2009; the weight is what apps add to it.
    """
    scores: dict[str, float] = defaultdict(float)
    for ranked, share in ((vectors, 1 - weight), (words, weight)):
        for rank, row in enumerate(ranked, 1):
            if share:
                scores[row] += share / (CONSTANT + rank)
    return sorted(scores, key=lambda row: -scores[row])[:k]


def fuse_all(
    vectors: Rankings, words: Mapping[str, Sequence[str]], weight: float, k: int
) -> Rankings:
    """Of each question."""
    return {q: fuse(rows, words.get(q, ()), weight, k) for q, rows in vectors.items()}

"""The order of candidates: of several ranked lists by the ranks alone, then by the new model."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ragkit.retrieval.rescue.candidates.rows import Candidate
from ragkit.retrieval.space import Binding

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


def to_rank(words: Sequence[str], fused: Sequence[str], most: int) -> list[str]:
    """At most `most` of the candidates, for the model to rank: the first by full text make up half
    of them, because they are known before the question's vector is; then the first of `fused`."""
    first = list(words[: most // 2])
    return first + [key for key in fused[:most] if key not in first][: most - len(first)]


def rank(
    candidates: Sequence[Candidate],
    question: np.ndarray,
    bought: Mapping[str, np.ndarray],
    binding: Binding,
) -> list[Candidate]:
    """By the distance of the new vectors, stored or just `bought`, within the binding's cut-off;
    then those that have none, as they come. They are left out where a cut-off would decide. A
    vector that is 0 has no cosine distance: PostgreSQL says NaN."""
    distances: dict[str, float] = {}
    for candidate in candidates:
        away = candidate.distance
        if away is None and (vector := bought.get(candidate.key)) is not None:
            away = distance(binding.distance, question, vector)
        if away is not None and not math.isnan(away):
            distances[candidate.key] = away
    cutoff = float("inf") if binding.cutoff is None else binding.cutoff
    scored = [c for c in candidates if distances.get(c.key, float("inf")) <= cutoff]
    scored = [c for c in scored if c.key in distances]
    others = [] if binding.cutoff is not None else [c for c in candidates if c.key not in distances]
    return [*sorted(scored, key=lambda c: distances[c.key]), *others]


def distance(kind: str, a: np.ndarray, b: np.ndarray) -> float:
    """As pgvector's operator for it: `kind` is a name of DISTANCES."""
    if kind == "l2":
        return float(np.linalg.norm(a - b))
    product = float(a @ b)
    if kind == "inner_product":
        return -product
    return 1 - product / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12)

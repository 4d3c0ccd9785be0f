"""Recall on a sample, against a count of its own over every pair of rows."""

import numpy as np
import pytest

from ragkit.migration.inspection.wide.recall import fitting_k, of_bits, of_shorter
from ragkit.retrieval.search import DISTANCES

ROWS, K = 60, 3
VECTORS = np.random.default_rng(2).normal(size=(ROWS, 40)) * np.linspace(2, 0.1, 40)


def away(distance, left, right):
    if distance == "cosine":
        return 1 - left @ right / np.linalg.norm(left) / np.linalg.norm(right)
    return np.linalg.norm(left - right) if distance == "l2" else -(left @ right)


def hamming(left, right):
    return ((left > 0) != (right > 0)).sum()


def first(row, measure, vectors, count):
    others = [other for other in range(ROWS) if other != row]
    return sorted(others, key=lambda other: measure(vectors[row], vectors[other]))[:count]


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("oversampling", [1, 4])
def test_bits(distance, oversampling):
    def exact(left, right):
        return away(distance, left, right)

    shares = [
        len({*first(row, exact, VECTORS, K)}
            & {*first(row, hamming, VECTORS, K * oversampling)}) / K
        for row in range(ROWS)
    ]  # fmt: skip
    assert of_bits(VECTORS, distance, K, oversampling) == pytest.approx(np.mean(shares))
    assert 0.1 < np.mean(shares) < 1


@pytest.mark.parametrize("distance", DISTANCES)
def test_shorter_vectors(distance):
    def exact(left, right):
        return away(distance, left, right)

    short = VECTORS[:, :10]
    shares = [
        len({*first(row, exact, VECTORS, K)} & {*first(row, exact, short, K)}) / K
        for row in range(ROWS)
    ]
    assert of_shorter(VECTORS, 10, distance, K) == pytest.approx(np.mean(shares))
    assert of_shorter(VECTORS, 40, distance, K) == 1


def test_all_rows_as_candidates_find_all():
    assert of_bits(VECTORS, "cosine", K, ROWS) == 1


@pytest.mark.parametrize(("rows", "k"), [(0, 0), (19, 0), (20, 1), (100, 5), (5000, 10)])
def test_a_small_sample_is_asked_for_few_neighbours(rows, k):
    assert fitting_k(rows, 10) == k

import numpy as np
import pytest
from scipy.stats import spearmanr

from ragkit.evaluation.metrics.space_similarity import (
    cka,
    nearest_rows,
    shared_neighbours,
    spearman,
)


def to_unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def related_spaces(rows, rng, noise=1.0):
    """Two spaces of 6 dimensions: different projections of the same hidden vectors, with noise."""
    hidden = rng.normal(size=(rows, 4))
    projections = np.random.default_rng(0).normal(size=(2, 4, 6))
    return (to_unit(hidden @ p + noise * rng.normal(size=(rows, 6))) for p in projections)


def cka_by_definition(old, new):
    """Kornblith et al. 2019, equation 4 for a linear kernel."""
    a, b = old - old.mean(axis=0), new - new.mean(axis=0)
    norms = np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
    return np.linalg.norm(b.T @ a) ** 2 / norms


def test_a_rotated_space_is_the_same_space():
    vectors = to_unit(np.random.default_rng(1).normal(size=(40, 8)))
    rotation, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(8, 8)))
    interval = cka(vectors, vectors @ rotation)
    assert interval.mean == pytest.approx(1)
    assert interval.high - interval.low == pytest.approx(0, abs=1e-6)
    assert spearman(vectors, vectors @ rotation) == pytest.approx(np.ones(40))


def test_cka_agrees_with_its_definition():
    old, new = related_spaces(50, np.random.default_rng(3))
    assert cka(old, new).mean == pytest.approx(cka_by_definition(old, new))


def test_spearman_agrees_with_scipy():
    old, new = related_spaces(20, np.random.default_rng(4))
    expected = [
        spearmanr(np.delete(old @ old[i], i), np.delete(new @ new[i], i)).statistic
        for i in range(20)
    ]
    assert spearman(old, new) == pytest.approx(np.array(expected))


def test_the_interval_of_cka_contains_the_true_value():
    """Coverage by simulation, against the value over many rows."""
    rng = np.random.default_rng(5)
    true_value = cka_by_definition(*related_spaces(100_000, rng))
    intervals = [cka(*related_spaces(200, rng)) for _ in range(200)]
    covered = [interval.low <= true_value <= interval.high for interval in intervals]
    assert 0.82 <= np.mean(covered) <= 0.97


def test_nearest_rows_are_the_other_rows_by_cosine():
    angles = np.radians([0, 10, 25, 90])
    vectors = np.column_stack([np.cos(angles), np.sin(angles)])
    assert nearest_rows(vectors, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert nearest_rows(vectors, 9).shape == (4, 3)


def test_shared_neighbours_ignore_the_order():
    old, new = np.array([[1, 2], [0, 2], [0, 1]]), np.array([[2, 1], [0, 3], [3, 4]])
    assert shared_neighbours(old, new).tolist() == [1, 0.5, 0]
    assert shared_neighbours(np.empty((1, 0)), np.empty((1, 0))).tolist() == [1]

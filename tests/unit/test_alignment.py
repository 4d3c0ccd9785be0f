import numpy as np
import pytest
from scipy.stats import spearmanr

from ragkit.comparison.alignment import cka, spearman


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def pair(rows, rng, noise=1.0):
    """Two spaces of 6 and 4 dimensions that share what they show."""
    hidden = rng.normal(size=(rows, 4))
    left, right = np.random.default_rng(0).normal(size=(2, 4, 6))
    return (unit(hidden @ side + noise * rng.normal(size=(rows, 6))) for side in (left, right))


def test_the_same_geometry_is_one():
    vectors = unit(np.random.default_rng(1).normal(size=(40, 8)))
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(8, 8)))
    found = cka(vectors, vectors @ turn)
    assert found.mean == pytest.approx(1)
    assert found.high - found.low == pytest.approx(0, abs=1e-6)
    assert spearman(vectors, vectors @ turn) == pytest.approx(np.ones(40))


def test_cka_agrees_with_its_definition():
    """Kornblith et al. 2019, equation 4 for a linear kernel."""
    old, new = pair(50, np.random.default_rng(3))
    a, b = old - old.mean(axis=0), new - new.mean(axis=0)
    norms = np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
    assert cka(old, new).mean == pytest.approx(np.linalg.norm(b.T @ a) ** 2 / norms)


def test_spearman_agrees_with_scipy():
    old, new = pair(20, np.random.default_rng(4))
    expected = [
        spearmanr(np.delete(old @ old[i], i), np.delete(new @ new[i], i)).statistic
        for i in range(20)
    ]
    assert spearman(old, new) == pytest.approx(np.array(expected))


def test_the_interval_of_cka_holds_the_true_one():
    """Coverage by simulation, against the value over many rows."""
    rng = np.random.default_rng(5)
    true = cka(*pair(6000, rng)).mean
    found = [cka(*pair(300, rng)) for _ in range(200)]
    assert 0.82 <= np.mean([each.low <= true <= each.high for each in found]) <= 0.97

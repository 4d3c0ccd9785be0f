import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes

from ragkit.evaluation.bridge.maps import RidgePath, coordinates, procrustes, ridge
from ragkit.evaluation.samples import normalise

seeds = st.integers(0, 2**32 - 1)
dimensions = st.integers(2, 12)


def unit(rng, rows, dimension):
    return normalise(rng.normal(size=(rows, dimension)))


def orthonormal(rng, rows, columns):
    """Its rows, or its columns where there are fewer of them, are orthonormal."""
    basis = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))[0]
    return basis if rows >= columns else basis.T


@given(seeds, dimensions, dimensions)
def test_a_turned_copy_is_recovered_also_in_more_and_in_fewer_dimensions(seed, n, m):
    """In fewer: of vectors that need no more dimensions than the old space has."""
    rng = np.random.default_rng(seed)
    new = unit(rng, 40, min(n, m)) @ orthonormal(rng, min(n, m), n)
    turn = np.linalg.pinv(orthonormal(rng, m, n)) if n < m else orthonormal(rng, n, n)
    old = new @ turn
    old = old if n <= m else old @ np.linalg.svd(old, full_matrices=False)[2][:m].T
    assert old.shape == (40, m)
    np.testing.assert_allclose(new @ procrustes(new, old), old, atol=1e-8)


@given(seeds, dimensions, dimensions)
def test_it_is_scipys_of_the_vectors_padded_with_zeros(seed, n, m):
    rng = np.random.default_rng(seed)
    new, old, size = unit(rng, 40, n), unit(rng, 40, m), max(n, m)
    padded = [np.pad(v, ((0, 0), (0, size - v.shape[1]))) for v in (new, old)]
    expected = orthogonal_procrustes(*padded)[0][:n, :m]
    np.testing.assert_allclose(procrustes(new, old), expected, atol=1e-6)


@given(seeds, dimensions, dimensions)
def test_no_length_grows(seed, n, m):
    rng = np.random.default_rng(seed)
    turn = procrustes(unit(rng, 8, n), unit(rng, 8, m))
    assert np.linalg.norm(turn, 2) <= 1 + 1e-9


def test_directions_that_the_rows_do_not_fill_are_mapped_to_zero():
    rng = np.random.default_rng(0)
    new = unit(rng, 3, 10)
    outside = np.linalg.svd(new)[2][3:]
    np.testing.assert_allclose(outside @ procrustes(new, unit(rng, 3, 10)), 0, atol=1e-12)


@given(seeds, dimensions, dimensions, st.floats(0.001, 100))
def test_ridge_solves_its_normal_equations(seed, n, m, penalty):
    rng = np.random.default_rng(seed)
    new, old = unit(rng, 9, n), unit(rng, 9, m)
    expected = np.linalg.solve(new.T @ new + penalty * np.eye(n), new.T @ old)
    np.testing.assert_allclose(ridge(new, old, penalty), expected, atol=1e-8)


def test_one_decomposition_serves_all_penalties():
    rng = np.random.default_rng(0)
    new, old, held = unit(rng, 20, 6), unit(rng, 20, 9), unit(rng, 4, 6)
    path = RidgePath.of(new, old)
    for penalty in (0.1, 1.0):
        np.testing.assert_allclose(path.at(penalty), ridge(new, old, penalty))
        np.testing.assert_allclose(path.apply(held, penalty), held @ path.at(penalty))


@pytest.mark.parametrize("rows", [5, 12, 40])
def test_maps_turn_with_the_coordinates(rows):
    rng = np.random.default_rng(0)
    new, old = unit(rng, rows, 12), unit(rng, rows, 15)
    (small_new, _), (small_old, basis) = coordinates(new), coordinates(old)
    assert small_new.shape[1] == min(rows, 12)
    np.testing.assert_allclose(small_old @ basis.T, old, atol=1e-12)
    for fit in (procrustes, lambda x, y: ridge(x, y, 0.3)):
        mapped = small_new @ fit(small_new, small_old) @ basis.T
        np.testing.assert_allclose(mapped, new @ fit(new, old), atol=1e-9)

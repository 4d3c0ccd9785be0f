"""Which rows' old vectors are not theirs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.evaluation.bridge.foreign import MIN_ROWS, assign_folds, find_foreign
from ragkit.evaluation.samples import normalise


def related(rows, seed=0):
    rng = np.random.default_rng(seed)
    traits = rng.normal(size=(rows, 10))
    return tuple(normalise(traits @ rng.normal(size=(10, 24))) for _ in range(2))


@given(st.integers(1, 300), st.integers(1, 10), st.integers(0, 99))
def test_folds_are_of_one_size_and_the_same_each_time(rows, folds, seed):
    assigned = assign_folds(rows, folds, seed)
    sizes = np.bincount(assigned, minlength=folds)
    assert sizes.max() - sizes.min() <= 1
    np.testing.assert_array_equal(assigned, assign_folds(rows, folds, seed))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.1, 0.25, 0.4])
def test_swapped_rows_are_found_and_no_others(seed, share):
    new, old = related(200, seed)
    chosen = np.random.default_rng(seed).choice(200, round(200 * share), replace=False)
    wrong = old.copy()
    wrong[chosen] = old[np.roll(chosen, 1)]
    found = set(np.flatnonzero(find_foreign(new, wrong, 1)).tolist())
    assert len(found & set(chosen.tolist())) >= 0.8 * len(chosen)
    assert len(found - set(chosen.tolist())) <= 2


@pytest.mark.parametrize("kind", ["random", "shuffled"])
def test_where_most_rows_would_be_foreign_none_is(kind):
    new, old = related(200)
    rng = np.random.default_rng(0)
    wrong = normalise(rng.normal(size=old.shape)) if kind == "random" else rng.permutation(old)
    assert not find_foreign(new, wrong, 1).any()


def test_of_few_rows_none_is_foreign():
    new, old = related(MIN_ROWS - 1)
    old[:10] = old[10:20]
    assert not find_foreign(new, old, 1).any()
    new, old = related(MIN_ROWS)
    old[:10] = old[10:20]
    assert find_foreign(new, old, 1)[:10].any()


@pytest.mark.parametrize("noise", [0.5, 1, 2, 4])
def test_few_hard_rows_of_weakly_related_models_are_taken_for_foreign(noise):
    rng = np.random.default_rng(0)
    traits = rng.normal(size=(250, 10))
    new, old = (
        normalise(traits @ rng.normal(size=(10, 24)) + noise * rng.normal(size=(250, 24)))
        for _ in range(2)
    )
    assert find_foreign(new, old, 1).mean() <= 0.1

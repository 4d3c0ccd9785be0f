"""What a bridge is worth, and when it is refused."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from ragkit.evaluation.bridge.cross_validation import (
    MIN_OVERLAP,
    MIN_PAIRS,
    cross_validate,
    fit_bridge,
)
from ragkit.evaluation.samples import PairedVectors, normalise
from tests.notebooks.test_jss import FILES, NEW, OLD, REAL

K, SEED = 10, 1
needs_real = pytest.mark.skipif(not REAL, reason="the real vectors of ../shared/data are not here")


def made(rows=150, new=48, old=32, noise=0.02, seed=0):
    """Rows of which both models see the same 12 traits."""
    rng = np.random.default_rng(seed)
    traits = rng.normal(size=(rows, 12))

    def seen(dimension):
        view = traits @ np.linalg.qr(rng.normal(size=(dimension, 12)))[0].T
        return normalise(view + noise * rng.normal(size=view.shape))

    names = [f"row {n}" for n in range(rows)]
    return PairedVectors(names, names, seen(old), seen(new))


def swapped(sample, share, seed=3):
    """That share of the rows gets the old vector of another one. Answers the rows, too."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(sample.labels), round(share * len(sample.labels)), replace=False)
    old = sample.old.copy()
    old[chosen] = sample.old[np.roll(chosen, 1)]
    return replace(sample, old=old), set(chosen.tolist())


@pytest.fixture(scope="module")
def real():
    return read_real()


def read_real():
    """The rows of both models' files."""
    vectors = {}
    for model, file in FILES.items():
        with file.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        vectors[model] = {row["id"]: (row["content"], json.loads(row["embedding"])) for row in rows}
    keys = list(vectors[OLD])
    return PairedVectors(
        keys,
        [vectors[OLD][key][0] for key in keys],
        normalise(vectors[OLD][key][1] for key in keys),
        normalise(vectors[NEW][key][1] for key in keys),
    )


@needs_real
class TestRealVectors:
    def test_the_bridge_keeps_the_neighbours(self, real):
        result = cross_validate(real, K, SEED)
        assert (result.pairs, result.foreign, result.refused) == (120, 0, None)
        assert result.overlap.mean >= 0.77
        assert result.candidates["procrustes"] >= 0.77
        assert result.overlap.mean == max(result.candidates.values())
        assert result.chance < 0.12

    def test_the_fitted_bridge_leads_from_one_to_the_other(self, real):
        result = cross_validate(real, K, SEED)
        bridge = fit_bridge(real, result)
        assert bridge.matrix.shape == (768, 768)
        assert bridge.pairs == 120
        cosines = [bridge.to_old(new) @ old for new, old in zip(real.new, real.old, strict=True)]
        assert np.median(cosines) > 0.95
        assert np.median((real.new * real.old).sum(axis=1)) < 0.1

    def test_random_old_vectors_are_refused_with_the_figure(self, real):
        random = normalise(np.random.default_rng(0).normal(size=real.old.shape))
        result = cross_validate(replace(real, old=random), K, SEED)
        assert f"overlap@10 is {result.overlap} on 120 held-out rows" in result.refused
        assert f"chance gives {result.chance:.3f}" in result.refused
        assert result.overlap.mean < 0.15
        assert fit_bridge(replace(real, old=random), result) is None

    def test_the_right_vectors_in_the_wrong_rows_are_refused(self, real):
        """Some old vectors are near to all others: chance is more than k of all rows."""
        shuffled = real.old[np.random.default_rng(0).permutation(len(real.old))]
        result = cross_validate(replace(real, old=shuffled), K, SEED)
        assert "chance gives" in result.refused
        assert result.foreign == 0
        assert result.chance > K / 119

    def test_swapped_rows_are_found_and_the_others_keep_their_overlap(self, real):
        rows = real.distinct()
        before = cross_validate(rows, K, SEED).overlap.mean
        wrong, chosen = swapped(rows, 0.1)
        result = cross_validate(wrong, K, SEED)
        found = chosen - set(result.kept.tolist())
        assert len(found) >= 0.8 * len(chosen)  # some rows' vectors fit each other's texts
        assert result.foreign - len(found) <= 2
        assert result.overlap.mean > before - 0.05


def test_an_orthogonal_relation_is_found_whatever_the_dimensions():
    for new, old in ((48, 32), (32, 32), (24, 60)):
        result = cross_validate(made(new=new, old=old), K, SEED)
        assert result.refused is None
        assert result.overlap.mean > 0.8
        assert result.overlap.low < result.overlap.mean < result.overlap.high
        assert fit_bridge(made(new=new, old=old), result).matrix.shape == (new, old)


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_swapped_rows_are_found(share):
    sample = made()
    before = cross_validate(sample, K, SEED)
    assert before.foreign == 0
    wrong, chosen = swapped(sample, share)
    result = cross_validate(wrong, K, SEED)
    found = chosen - set(result.kept.tolist())
    assert len(found) >= 0.9 * len(chosen)
    assert result.foreign == len(found)
    assert result.pairs == 150 - result.foreign
    assert result.overlap.mean > before.overlap.mean - 0.05


def test_a_table_of_few_kinds_of_texts_has_no_foreign_rows():
    """Each row's old vector fits many texts, those of its kind, and is foreign to none of them."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, 150)
    old, new = (
        normalise(rng.normal(size=(3, 32))[kinds] + 0.01 * rng.normal(size=(150, 32)))
        for _ in range(2)
    )
    names = [f"row {n}" for n in range(150)]
    assert cross_validate(PairedVectors(names, names, old, new), K, SEED).foreign == 0


def test_duplicates_take_part_once():
    sample = made(60)
    places = [*range(60), *range(40)] * 2
    repeated = PairedVectors(
        [f"label {n}" for n in range(len(places))],
        [sample.texts[place] for place in places],
        sample.old[places],
        sample.new[places],
    )
    once, often = cross_validate(sample, K, SEED), cross_validate(repeated, K, SEED)
    assert often.pairs == 60
    assert often.overlap == once.overlap
    np.testing.assert_allclose(
        fit_bridge(repeated, often).matrix, fit_bridge(sample, once).matrix, atol=1e-6
    )


def test_others_are_neighbours_too():
    whole = made(300)
    part = PairedVectors(whole.labels[:100], whole.texts[:100], whole.old[:100], whole.new[:100])
    alone = cross_validate(part, K, SEED)
    among = cross_validate(part, K, SEED, whole.old[100:])
    assert among.pairs == 100
    assert among.chance < alone.chance / 2
    assert among.overlap.mean < alone.overlap.mean


@pytest.mark.parametrize("rows", [0, 1, 2, MIN_PAIRS])
def test_too_few_rows_are_refused_with_the_number_that_is_needed(rows):
    sample = made(30)
    few = PairedVectors(
        sample.labels[:rows], sample.texts[:rows], sample.old[:rows], sample.new[:rows]
    )
    result = cross_validate(few, K, SEED)
    assert f"{rows} of {rows} rows" in result.refused
    assert "at least 21 are needed" in result.refused
    assert (result.overlap, fit_bridge(few, result)) == (None, None)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_or_zero_old_vectors_are_refused(value):
    sample = made()
    flat = replace(sample, old=normalise(np.full_like(sample.old, value)))
    result = cross_validate(flat, K, SEED)
    assert "150 rows with different texts hold 1 different old vectors" in result.refused
    assert f"{150 * (value == 0)} that are 0" in result.refused
    assert fit_bridge(flat, result) is None


def test_single_zero_vectors_are_left_out_and_counted():
    sample = made()
    sample.old[:3], sample.new[5] = 0, 0
    result = cross_validate(sample, K, SEED)
    assert (result.pairs, result.foreign, result.refused) == (146, 4, None)
    assert not {0, 1, 2, 5} & set(result.kept.tolist())


def test_a_weak_bridge_is_refused_though_it_is_better_than_chance():
    weak = made(noise=1.2)
    result = cross_validate(weak, K, SEED)
    assert result.overlap.low > result.chance
    assert result.overlap.low < result.chance + MIN_OVERLAP * (1 - result.chance)
    assert str(result.overlap) in result.refused


def test_the_same_sample_gives_the_same_answer():
    first, second = (cross_validate(made(), K, SEED) for _ in range(2))
    assert first.overlap == second.overlap
    assert first.candidates == second.candidates

"""On vectors of real models: padding, two models in one column, one model alone."""

from functools import cache

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.migration.inspection.vector_traits import VectorTraits, read_traits
from ragkit.sandbox.sample import sample_rows
from tests.conftest import embedder_of

TEXTS = [row["content"] for row in sample_rows()]


@cache
def all_vectors(name):
    return embedder_of(name).embed_documents(TEXTS)


def vectors_of(name, rows=slice(None)):
    return all_vectors(name)[rows].copy()


def padded(vectors, dimension):
    return np.pad(vectors, ((0, 0), (0, dimension - vectors.shape[1])))


def checks_of(vectors):
    return {check.name.partition(": ")[2]: check for check in VectorTraits.of(vectors).checks()}


@pytest.mark.parametrize("name", ["wordllama-64", "wordllama-256", "all-minilm-l6-v2"])
def test_one_model_alone_shows_nothing_odd(name):
    checks = checks_of(vectors_of(name))
    assert list(checks) == ["length"]
    assert "100.0% of" in checks["length"].observed


def test_padding_is_named_with_the_dimension_of_its_source():
    checks = checks_of(padded(vectors_of("wordllama-64"), 256))
    assert "the last 192 of 256 dimensions are 0 in 100.0%" in checks["padding"].observed
    assert "a model of 64 dimensions" in checks["padding"].fix


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3, 0.5])
def test_two_models_in_one_column_are_two_groups(share):
    first = round(share * len(TEXTS))
    other = vectors_of("all-minilm-l6-v2", slice(first))[:, :256]
    traits = VectorTraits.of(
        np.concatenate([other, vectors_of("wordllama-256", slice(first, None))])
    )
    assert len(traits.groups) == 2
    assert traits.groups[-1] == pytest.approx(share, abs=0.03)


def test_padded_rows_among_others_are_counted():
    half = len(TEXTS) // 2
    rows = [padded(vectors_of("wordllama-64", slice(half)), 256),
            vectors_of("wordllama-256", slice(half, None))]  # fmt: skip
    assert VectorTraits.of(np.concatenate(rows)).padded == pytest.approx(0.5, abs=0.01)


def test_vectors_of_other_lengths_are_counted():
    vectors = vectors_of("wordllama-64")
    vectors[: len(vectors) // 4] *= 7
    assert VectorTraits.of(vectors).unit_length == pytest.approx(0.75, abs=0.01)


def test_few_rows_and_zero_vectors_are_no_groups():
    assert VectorTraits.of(np.zeros((3, 64))).groups == [1.0]
    assert VectorTraits.of(np.zeros((3, 64))).padded == 0


def test_the_old_column_is_read(migration):
    traits = read_traits(migration)
    assert (traits.rows, traits.dimension) == (6, 256)
    with migration.engine.begin() as connection:
        connection.execute(sa.update(migration.table).values({migration.plan.old.column: None}))
    assert read_traits(migration) is None

import numpy as np
import pytest

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.embedder import validate_vectors
from ragkit.errors import BadVectors
from tests.conftest import embedder_of


@pytest.fixture(params=["wordllama-256", "all-minilm-l6-v2"])
def local_embedder(request):
    return embedder_of(request.param)


def test_vectors_are_float32_with_one_row_per_text(local_embedder):
    vectors = local_embedder.embed_documents(["coffee", "a quiet place to pray", "Gate B12"])
    assert vectors.shape == (3, local_embedder.model.dimension)
    assert vectors.dtype == np.float32
    assert local_embedder.embed_query("coffee").shape == (local_embedder.model.dimension,)
    assert local_embedder.embed_documents([]).shape == (0, local_embedder.model.dimension)


def test_vectors_have_unit_length_and_the_order_of_the_texts(local_embedder):
    texts = ["tea " * n for n in (30, 1, 12, 3)] + ["a", "b" * 40]
    vectors = local_embedder.embed_documents(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        assert vector @ local_embedder.embed_query(text) > 0.98


def test_texts_of_similar_meaning_have_similar_vectors(local_embedder):
    question = local_embedder.embed_query("where can I buy medicine")
    pharmacy, train = local_embedder.embed_documents(
        ["Pharmacy selling medicine", "Train to the city"]
    )
    assert question @ pharmacy > question @ train


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([[1.0] * 256], r"shape \(1, 256\), expected \(2, 256\)"),
        ([[1.0] * 255] * 2, r"shape \(2, 255\)"),
        ([[1.0] * 255 + [float("nan")]] * 2, "NaN"),
        ([[float("inf")] * 256] * 2, "infinite"),
    ],
)
def test_vectors_of_a_wrong_count_dimension_or_value_are_refused(answer, message):
    with pytest.raises(BadVectors, match=message):
        validate_vectors(answer, 2, find_model("wordllama-256"))


def test_a_number_beyond_float32_is_refused_without_a_warning(recwarn):
    with pytest.raises(BadVectors, match="infinite"):
        validate_vectors([[1e300] * 256], 1, find_model("wordllama-256"))
    assert not recwarn.list

import numpy as np
import pytest

from ragkit.embedders import checked, load, model_of
from ragkit.errors import BadVectors, ConfigError, ModelUnavailable, TextTooLong, UnknownModel
from ragkit.models import find

LOCAL = ["wordllama-256", "all-minilm-l6-v2"]


@pytest.fixture(scope="module", params=LOCAL)
def local(request):
    return load(request.param)


def test_shapes_and_type(local):
    vectors = local.embed_documents(["coffee", "a quiet place to pray", "Gate B12"])
    assert vectors.shape == (3, local.model.dimension)
    assert vectors.dtype == np.float32
    assert local.embed_query("coffee").shape == (local.model.dimension,)
    assert local.embed_documents([]).shape == (0, local.model.dimension)


def test_vectors_have_unit_length_and_keep_the_order_of_the_texts(local):
    texts = ["tea " * n for n in (30, 1, 12, 3)] + ["a", "b" * 40]
    vectors = local.embed_documents(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        assert vector @ local.embed_query(text) > 0.98


def test_near_in_meaning_is_near_in_space(local):
    question = local.embed_query("where can I buy medicine")
    pharmacy, train = local.embed_documents(["Pharmacy selling medicine", "Train to the city"])
    assert question @ pharmacy > question @ train


def test_minilm_scores_the_model_cards_example():
    """https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2, the example of its page."""
    model = load("all-minilm-l6-v2")
    person = model.embed_query("That is a happy person")
    assert person @ model.embed_query("That is a very happy person") == pytest.approx(
        0.943, abs=0.01
    )
    assert person @ model.embed_query("Today is a sunny day") == pytest.approx(0.257, abs=0.02)


def test_an_over_long_text_is_refused_and_never_cut():
    with pytest.raises(TextTooLong, match="256"):
        load("all-minilm-l6-v2").embed_query("word " * 300)


def test_an_unknown_model_is_refused():
    with pytest.raises(UnknownModel):
        load("word2vec")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ([[1.0] * 256], r"shape \(1, 256\), expected \(2, 256\)"),
        ([[1.0] * 255] * 2, r"shape \(2, 255\)"),
        ([[1.0] * 255 + [float("nan")]] * 2, "NaN"),
        ([[float("inf")] * 256] * 2, "infinite"),
    ],
)
def test_what_a_model_answers_is_checked(answer, says):
    with pytest.raises(BadVectors, match=says):
        checked(answer, 2, find("wordllama-256"))


class Broken:
    def embed_documents(self, texts):
        raise RuntimeError("key sk-canary is wrong")

    embed_query = embed_documents


class Ragged:
    def embed_query(self, text):
        return [1.0, 0.0]

    def embed_documents(self, texts):
        return [[1.0, 0.0]] * (len(texts) - 1)


class TestPlugin:
    NAME = "tests.stand_ins.letters:Letters"

    def test_a_langchain_object_is_loaded_by_module_and_attribute(self):
        embedder = load(self.NAME)
        assert (embedder.model.name, embedder.model.dimension) == (self.NAME, 64)
        assert embedder.embed_documents(["a b", "c"]).dtype == np.float32
        assert model_of(self.NAME) == embedder.model

    @pytest.mark.parametrize("name", ["no.such:thing", "tests.conftest:nothing", ":x"])
    def test_what_cannot_be_imported_is_a_clear_error(self, name):
        with pytest.raises(ConfigError, match="module:attribute"):
            load(name)

    def test_an_object_without_the_two_verbs_is_refused(self):
        with pytest.raises(ConfigError, match="embed_documents"):
            load("pathlib:Path")

    def test_its_failure_is_told_without_its_text(self):
        with pytest.raises(ModelUnavailable, match="RuntimeError") as caught:
            load(f"{__name__}:Broken")
        assert "canary" not in str(caught.value)

    def test_fewer_vectors_than_texts_are_refused(self):
        with pytest.raises(BadVectors):
            load(f"{__name__}:Ragged").embed_documents(["a", "b"])

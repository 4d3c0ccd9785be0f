import numpy as np
import pytest

from ragkit.embedding.load import load_embedder
from ragkit.errors import BadVectors, ConfigError, ModelUnavailable
from tests.conftest import TEXTS

LETTERS = "tests.stand_ins.letters:Letters"


class FailingModel:
    def embed_documents(self, texts):
        raise RuntimeError("key sk-canary is wrong")

    embed_query = embed_documents


class TooFewVectors:
    def embed_query(self, text):
        return [1.0, 0.0]

    def embed_documents(self, texts):
        return [[1.0, 0.0]] * (len(texts) - 1)


class NoKey:
    def __init__(self):
        raise ValueError("the key sk-canary is wrong")

    def embed_query(self, text):
        return []

    embed_documents = embed_query


class Answers:
    """What it answers in place of a vector is in a subclass."""

    answer: object = None

    def embed_query(self, text):
        return self.answer

    def embed_documents(self, texts):
        return [self.answer for _ in texts]


class Nothing(Answers):
    answer = None


class NoDimension(Answers):
    answer: tuple[float, ...] = ()


class Number(Answers):
    answer = 3.0


class Text(Answers):
    answer = "abc"


class Awaited(Answers):
    async def embed_query(self, text):
        return [1.0]


@pytest.mark.parametrize("name", ["Nothing", "NoDimension", "Number", "Text", "Awaited"])
@pytest.mark.filterwarnings("ignore:coroutine")
def test_an_object_that_answers_no_vector_is_told(name):
    with pytest.raises(ModelUnavailable, match=r"expected a list of numbers.*embed_query.*got"):
        load_embedder(f"{__name__}:{name}")


def test_a_class_that_cannot_be_made_is_told_without_its_words():
    with pytest.raises(ModelUnavailable, match="NoKey cannot be made: ValueError") as error:
        load_embedder(f"{__name__}:NoKey")
    assert "canary" not in f"{error.value!r} {error.value.__cause__!r}"


def test_a_langchain_object_is_loaded_by_module_and_attribute():
    embedder = load_embedder(LETTERS)
    assert (embedder.model.name, embedder.model.dimension) == (LETTERS, 64)
    assert embedder.embed_documents(["a b", "c"]).dtype == np.float32


@pytest.mark.parametrize("name", ["no.such:thing", "tests.conftest:nothing", ":x"])
def test_a_name_that_cannot_be_imported_is_a_configuration_error(name):
    with pytest.raises(ConfigError, match="module:attribute"):
        load_embedder(name)


def test_an_object_without_embed_documents_is_refused():
    with pytest.raises(ConfigError, match="embed_documents"):
        load_embedder("yaml:SafeLoader")


def test_a_class_that_is_no_model_is_not_called(tmp_path):
    with pytest.raises(ConfigError, match="has no embed_documents"):
        load_embedder(f"{__name__}:Dangerous")


class Dangerous:
    def __init__(self):
        raise AssertionError("it was called")


def test_a_failure_is_reported_without_the_text_of_its_error():
    with pytest.raises(ModelUnavailable, match="RuntimeError") as error:
        load_embedder(f"{__name__}:FailingModel")
    assert "canary" not in str(error.value)


def test_fewer_vectors_than_texts_are_refused():
    with pytest.raises(BadVectors):
        load_embedder(f"{__name__}:TooFewVectors").embed_documents(["a", "b"])


class Client:
    """As LangChain's integrations: one class for many models."""

    model_name = "large-1"

    def embed_query(self, text):
        return [1.0]

    def embed_documents(self, texts):
        return [[1.0]] * len(texts)


moved = Client()


def test_a_space_has_the_class_and_the_model_not_the_import_path():
    by_class, by_object = (load_embedder(f"{__name__}:{name}") for name in ("Client", "moved"))
    assert by_class.model.space_name == by_object.model.space_name == "tests.Client(large-1)"
    moved.model_name = "large-2"
    assert load_embedder(f"{__name__}:moved").model.space_name == "tests.Client(large-2)"


def test_a_dimension_behind_the_name_cuts_what_it_makes():
    whole, short = load_embedder(LETTERS), load_embedder(f"{LETTERS}/16")
    vectors = short.embed_documents(TEXTS)
    cut = whole.embed_documents(TEXTS)[:, :16]
    np.testing.assert_allclose(vectors, cut / np.linalg.norm(cut, axis=1, keepdims=True), atol=1e-6)
    assert short.embed_query(TEXTS[0]).shape == (16,)
    assert short.model.space_name == f"{whole.model.space_name}/16"
    assert load_embedder(f"{LETTERS}/64").model.space_name == whole.model.space_name
    with pytest.raises(ConfigError, match="makes 64 dimensions, fewer"):
        load_embedder(f"{LETTERS}/65")


def test_facts_of_it_have_precedence():
    facts = {LETTERS: {"max_texts": 3, "in_flight": 2, "dimension": 5}}
    model = load_embedder(LETTERS, facts).model
    assert (model.max_texts, model.in_flight, model.dimension) == (3, 2, 64)

from datetime import date

import pytest

from ragkit.embedding.catalogue import CATALOGUE, find_model, is_known
from ragkit.embedding.load import load_embedder
from ragkit.errors import ModelUnavailable, UnknownModel


def test_the_catalogue_lists_googles_models_with_their_facts():
    gecko, new = find_model("textembedding-gecko@001"), find_model("text-embedding-005")
    assert (gecko.dimension, gecko.document_task, gecko.query_task) == (768, None, None)
    assert (new.document_task, new.query_task) == ("RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY")
    assert (new.max_texts, new.max_tokens, new.max_tokens_per_text) == (250, 20_000, 2048)
    assert find_model("gemini-embedding-001").max_texts == 1
    assert find_model("gemini-embedding-001").dimension == 3072


def test_a_model_is_retired_from_its_date_on():
    assert find_model("textembedding-gecko@001").is_retired(date(2026, 11, 23))
    assert not find_model("text-embedding-005").is_retired(date(2027, 3, 31))
    assert find_model("text-embedding-005").is_retired(date(2027, 4, 1))
    assert not find_model("wordllama-256").is_retired(date(2100, 1, 1))


def test_every_price_has_the_date_of_its_source():
    assert all(model.price_as_of for model in CATALOGUE.values() if model.usd_per_million_tokens)


def test_an_unknown_model_is_an_error_that_lists_the_known_ones():
    with pytest.raises(UnknownModel, match="text-embedding-006") as error:
        find_model("text-embedding-006")
    assert all(name in str(error.value) for name in CATALOGUE)


class TestOutsideOfTheCatalogue:
    """Name and dimension describe a model whose vectors are there, but which nobody here calls."""

    @pytest.mark.parametrize("name", ["unknown/1536", "text-embedding-ada-002/1536", "acme/e5/8"])
    def test_a_name_with_a_dimension_is_a_model_that_cannot_be_called(self, name):
        model = find_model(name)
        assert (model.name, model.dimension) == (name, int(name.rpartition("/")[2]))
        assert not model.is_callable
        assert not is_known(name)
        with pytest.raises(ModelUnavailable, match="is not in the catalogue"):
            load_embedder(name)

    @pytest.mark.parametrize("name", ["unknown", "unknown/", "/768", "unknown/0", "unknown/x",
                                      "unknown/16001", "text-embedding-005/512"])  # fmt: skip
    def test_anything_else_is_unknown_and_the_error_says_what_suffices(self, name):
        with pytest.raises(UnknownModel, match="NAME/DIMENSION"):
            find_model(name)

    def test_the_models_of_the_catalogue_can_be_called(self):
        assert all(model.is_callable for model in CATALOGUE.values())

from datetime import date

import pytest

from ragkit.embedding.catalogue import CATALOGUE, find_model
from ragkit.errors import UnknownModel


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

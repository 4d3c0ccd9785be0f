from datetime import date

import pytest

from ragkit.errors import UnknownModel
from ragkit.models import CATALOGUE, find


def test_the_catalogue_lists_googles_models_with_their_facts():
    gecko, new = find("textembedding-gecko@001"), find("text-embedding-005")
    assert (gecko.dimension, gecko.document_task, gecko.query_task) == (768, None, None)
    assert (new.document_task, new.query_task) == ("RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY")
    assert (new.max_texts, new.max_tokens, new.max_tokens_per_text) == (250, 20_000, 2048)
    assert find("gemini-embedding-001").max_texts == 1
    assert find("gemini-embedding-001").dimension == 3072


def test_retirement_is_a_date():
    assert find("textembedding-gecko@001").retired(date(2026, 11, 23))
    assert not find("text-embedding-005").retired(date(2027, 3, 31))
    assert find("text-embedding-005").retired(date(2027, 4, 1))
    assert not find("wordllama-256").retired(date(2100, 1, 1))


def test_a_price_has_its_date():
    assert all(m.price_as_of for m in CATALOGUE.values() if m.usd_per_million_tokens)


def test_an_unknown_model_is_an_error_that_lists_the_known_ones():
    with pytest.raises(UnknownModel, match="text-embedding-006") as caught:
        find("text-embedding-006")
    assert all(name in str(caught.value) for name in CATALOGUE)

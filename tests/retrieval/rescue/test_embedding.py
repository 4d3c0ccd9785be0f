"""By Google's model, at its stand-in, and by models that take one kind of text at a time."""

import time

import numpy as np
import pytest

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.providers.vertex import VertexEmbedder
from ragkit.errors import ModelBusy, PartialRefusal, RowRefused, TextTooLong
from ragkit.retrieval.rescue.embedding import RememberingModel, embed_jointly
from tests.conftest import TEXTS


@pytest.fixture
def google(vertex):
    return VertexEmbedder(
        find_model("text-embedding-005"),
        {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address},
    )


def test_the_question_and_the_texts_go_together_with_their_own_tasks(google, vertex):
    vector, rows = google.embed_jointly("wool", TEXTS)
    assert vertex.calls == [("text-embedding-005", {"RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT"}, 7)]
    np.testing.assert_array_equal(vector, google.embed_query("wool"))
    np.testing.assert_array_equal(rows[5], google.embed_documents(TEXTS)[5])


def test_texts_beyond_a_request_go_beside_it(google, vertex):
    """Thirty of 1,000 words are more than one request holds."""
    texts = [f"{n} " + "word " * 1000 for n in range(30)]
    vector, rows = google.embed_jointly("wool", texts)
    assert len(vertex.calls) > 1
    assert sum(count for *_, count in vertex.calls) == 31
    np.testing.assert_array_equal(vector, google.embed_query("wool"))
    for place, text in enumerate(texts):
        np.testing.assert_array_equal(rows[place], google.embed_documents([text])[0])


def test_a_model_that_takes_one_text_at_a_time_ranks_too(vertex):
    gemini = VertexEmbedder(
        find_model("gemini-embedding-001"),
        {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address},
    )
    vector, rows = gemini.embed_jointly("wool", TEXTS)
    assert [count for *_, count in vertex.calls] == [1] * 7
    np.testing.assert_array_equal(vector, gemini.embed_query("wool"))
    assert sorted(rows) == list(range(6))
    _, rows = gemini.embed_jointly("wool", ["", "b"])
    assert [rows[0] is None, rows[1] is None] == [True, False]


def test_a_text_that_would_be_cut_has_no_vector(google):
    _, rows = google.embed_jointly("wool", ["short", "word " * 2500])
    assert rows[0] is not None
    assert rows[1] is None


def test_a_text_that_the_model_does_not_take_is_sent_once(google, vertex):
    model, deadline = RememberingModel(google), time.monotonic() + 20
    texts = {"1": "short", "2": "word " * 2500}
    first, second = (model.embed("wool", texts, deadline) for _ in range(2))
    assert (set(first.rows), first.paid) == (set(second.rows), 1) == ({"1"}, 1)
    assert second.paid == 0
    assert [count for *_, count in vertex.calls] == [3, 1]


def test_a_request_that_is_refused_for_one_text_still_gives_the_question(google, vertex):
    vector, rows = embed_jointly(google, "wool", ["", "b"])
    np.testing.assert_array_equal(vector, google.embed_query("wool"))
    assert rows == {}


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (PartialRefusal({0: "long"}, np.ones((2, 64))), [1]),
        (RowRefused("no"), []),
        (ModelBusy("later"), []),
        (None, [0, 1]),
    ],
)
def test_texts_that_are_refused_have_no_vector(new_embedder, error, kept):
    class Refusing:
        model, embed_query = new_embedder.model, new_embedder.embed_query

        def embed_documents(self, texts):
            if error:
                raise error
            return new_embedder.embed_documents(texts)

    vector, rows = embed_jointly(Refusing(), "wool", TEXTS[:2])
    np.testing.assert_array_equal(vector, new_embedder.embed_query("wool"))
    assert [place for place, each in rows.items() if each is not None] == kept


def test_a_question_that_is_too_long_is_an_error(google):
    with pytest.raises(TextTooLong):
        embed_jointly(google, "word " * 2500, ["b"])

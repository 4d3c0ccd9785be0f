"""Questions over REST and rows over gRPC, against the stand-in of Vertex AI on loopback."""

import subprocess

import grpc
import numpy as np
import pytest

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.providers.vertex import VertexEmbedder
from ragkit.errors import (
    BadVectors,
    ModelBusy,
    ModelUnavailable,
    PartialRefusal,
    TextTooLong,
    WrongDimension,
)
from ragkit.migration.backfill.model_calls.embed import embed_texts
from tests.conftest import PYTHON, environment

SERVICE = "ragkit.embedding.vertex_ai.service"


GOOGLES_CLIENT = ("grpc", "google.protobuf", "google.api_core", "google.cloud.aiplatform_v1")


def ask(model):
    return model.embed_query("a")


def embed(model):
    return model.embed_documents(["a"])[0]


by_both_ways = pytest.mark.parametrize("call", [ask, embed])
"""By REST and by gRPC."""


def embedder(vertex, name="text-embedding-005"):
    return VertexEmbedder(
        find_model(name), {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address}
    )


def test_rows_and_questions_are_sent_with_their_own_task_type(vertex):
    model = embedder(vertex)
    assert model.embed_documents(["a", "b"]).shape == (2, 768)
    assert model.embed_query("a").dtype == np.float32
    assert [call[1] for call in vertex.calls] == [{"RETRIEVAL_DOCUMENT"}, {"RETRIEVAL_QUERY"}]


def test_gecko_is_called_without_a_task_type(vertex):
    embedder(vertex, "textembedding-gecko@001").embed_query("a")
    assert vertex.calls == [("textembedding-gecko@001", {None}, 1)]


def test_a_request_holds_at_most_250_texts(vertex):
    texts = [f"text {n}" for n in range(251)]
    vectors = embedder(vertex).embed_documents(texts)
    assert sorted(call[2] for call in vertex.calls) == [1, 250]
    np.testing.assert_array_equal(vectors[250], embedder(vertex).embed_documents(texts[250:])[0])


def test_requests_are_packed_by_tokens(vertex):
    texts = [f"{n} " + "word " * 500 for n in range(60)]  # 640 tokens each
    embedder(vertex).embed_documents(texts)
    assert sum(call[2] for call in vertex.calls) == 60
    assert len(vertex.calls) < 8  # the estimate falls to the counts of the service


def test_a_text_that_would_be_truncated_is_refused_and_the_others_get_vectors(vertex):
    model = embedder(vertex)
    with pytest.raises(PartialRefusal, match="2048") as error:
        model.embed_documents(["a", "word " * 3000, "b"])
    assert list(error.value.refused) == [1]
    np.testing.assert_array_equal(error.value.vectors[2], model.embed_documents(["b"])[0])
    with pytest.raises(TextTooLong, match="2048"):
        model.embed_query("word " * 3000)


def test_gemini_gets_one_text_per_request_and_its_shortened_vectors_have_unit_length(vertex):
    vectors = embedder(vertex, "gemini-embedding-001/768").embed_documents(["a b", "b c", "c d"])
    assert [call[2] for call in vertex.calls] == [1, 1, 1]
    assert {call[0] for call in vertex.calls} == {"gemini-embedding-001"}
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors.shape == (3, 768)
    assert embedder(vertex, "gemini-embedding-001").embed_query("a b").shape == (3072,)


def test_an_empty_text_is_refused_and_the_others_get_vectors(vertex):
    result = embed_texts(embedder(vertex), ["a", "", "b"], 5)
    assert (sorted(result.vectors), list(result.refused)) == ([0, 2], [1])


@by_both_ways
def test_a_temporary_error_is_retried(vertex, call):
    vertex.refuse = [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE]
    assert call(embedder(vertex)).shape == (768,)
    assert not vertex.refuse


def test_a_quota_that_is_used_up_is_retried_for_a_question_and_told_for_rows(vertex):
    """The backfill has other requests in flight, and sends fewer."""
    vertex.refuse = [grpc.StatusCode.RESOURCE_EXHAUSTED]
    assert ask(embedder(vertex)).shape == (768,)
    vertex.refuse = [grpc.StatusCode.RESOURCE_EXHAUSTED]
    with pytest.raises(ModelBusy, match="RESOURCE_EXHAUSTED"):
        embed(embedder(vertex))


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [("count", BadVectors, r"\(1, 768\), expected \(2, 768\)"),
     ("dimension", WrongDimension, r"\(2, 767\), expected \(2, 768\)")],
)  # fmt: skip
def test_an_answer_of_a_wrong_shape_is_refused(vertex, wrong, error, message):
    vertex.wrong = wrong
    with pytest.raises(error, match=message):
        embedder(vertex).embed_documents(["a", "b"])
    with pytest.raises(error):
        embedder(vertex).embed_query("a")


@by_both_ways
def test_an_exhausted_quota_is_retried_until_the_deadline(vertex, monkeypatch, call):
    monkeypatch.setattr(f"{SERVICE}.DEADLINE_SECONDS", 1.5)
    vertex.refuse = [grpc.StatusCode.RESOURCE_EXHAUSTED] * 50
    with pytest.raises(ModelBusy, match="the quota is used up"):
        call(embedder(vertex))
    assert 40 <= len(vertex.refuse) < 50


@by_both_ways
def test_a_service_that_does_not_answer_is_retried_until_the_deadline(vertex, monkeypatch, call):
    monkeypatch.setattr(f"{SERVICE}.ATTEMPT_SECONDS", 0.2)
    monkeypatch.setattr(f"{SERVICE}.DEADLINE_SECONDS", 1.5)
    vertex.delay = 1.0
    with pytest.raises(ModelBusy, match="no answer in time"):
        call(embedder(vertex))
    vertex.delay = 0.0
    assert call(embedder(vertex)).shape == (768,)


@by_both_ways
@pytest.mark.parametrize(
    ("status", "message"),
    [
        (grpc.StatusCode.NOT_FOUND, "retired"),
        (grpc.StatusCode.PERMISSION_DENIED, "roles/aiplatform.user"),
        (grpc.StatusCode.UNAUTHENTICATED, "gcloud auth"),
    ],
)
def test_a_permanent_error_says_what_to_do(vertex, call, status, message):
    vertex.refuse = [status]
    with pytest.raises(ModelUnavailable, match=message) as error:
        call(embedder(vertex))
    assert not isinstance(error.value, ModelBusy)
    assert not vertex.refuse


def test_both_ways_answer_the_same_vector(vertex):
    model = embedder(vertex)
    np.testing.assert_array_equal(ask(model), embed(model))


def test_a_metered_embedder_has_the_same_clients(vertex):
    model = embedder(vertex)
    metered = model.with_meter(NoMeter())
    assert metered._rows() is model._rows()
    assert metered._questions is model._questions


class NoMeter:
    def before(self, tokens):
        pass

    def after(self, tokens):
        pass

    def busy(self):
        pass


def test_a_question_imports_no_client_of_google_cloud(vertex):
    """It would cost the function's start a second of CPU and 100 MB."""
    script = (
        "import sys\nfrom ragkit.embedding.load import load_embedder\n"
        "load_embedder('text-embedding-005').embed_query('a')\n"
        f"print(*{{*{GOOGLES_CLIENT}}} & set(sys.modules))"
    )
    env = environment(GCP_PROJECT_ID="p", VERTEX_ENDPOINT=vertex.address)
    done = subprocess.run(
        [PYTHON, "-c", script], env=env, check=True, capture_output=True, text=True
    )
    assert done.stdout == "\n"

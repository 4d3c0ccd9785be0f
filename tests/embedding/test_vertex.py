"""The real Google client against the stand-in of Vertex AI on loopback."""

import grpc
import numpy as np
import pytest
from google.auth.transport.grpc import secure_authorized_channel
from google.auth.transport.requests import Request
from google.cloud.aiplatform_v1.services.prediction_service import PredictionServiceClient
from google.cloud.aiplatform_v1.services.prediction_service.transports import (
    PredictionServiceGrpcTransport,
)
from google.oauth2 import service_account

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.vertex import VertexEmbedder
from ragkit.errors import (
    BadVectors,
    ModelBusy,
    ModelUnavailable,
    PartialRefusal,
    TextTooLong,
    WrongDimension,
)
from ragkit.migration.backfill.model_calls.embed import embed_texts
from tests.stand_ins import credentials
from tests.stand_ins.vertex import serving


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


def test_a_temporary_error_is_retried(vertex):
    vertex.refuse = [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE]
    assert embedder(vertex).embed_query("a").shape == (768,)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [("count", BadVectors, r"\(1, 768\), expected \(2, 768\)"),
     ("dimension", WrongDimension, r"\(2, 767\), expected \(2, 768\)")],
)  # fmt: skip
def test_an_answer_of_a_wrong_shape_is_refused(vertex, wrong, error, message):
    vertex.wrong = wrong
    with pytest.raises(error, match=message):
        embedder(vertex).embed_documents(["a", "b"])


def test_an_exhausted_quota_is_retried_until_the_deadline(vertex, monkeypatch):
    monkeypatch.setattr("ragkit.embedding.vertex.DEADLINE_SECONDS", 1.5)
    vertex.refuse = [grpc.StatusCode.RESOURCE_EXHAUSTED] * 50
    with pytest.raises(ModelBusy, match="the quota is used up"):
        embedder(vertex).embed_query("a")
    assert 45 <= len(vertex.refuse) < 50


def test_a_service_that_does_not_answer_is_retried_until_the_deadline(vertex, monkeypatch):
    monkeypatch.setattr("ragkit.embedding.vertex.ATTEMPT_SECONDS", 0.2)
    monkeypatch.setattr("ragkit.embedding.vertex.DEADLINE_SECONDS", 1.5)
    vertex.delay = 1.0
    with pytest.raises(ModelBusy, match="no answer in time"):
        embedder(vertex).embed_query("a")
    vertex.delay = 0.0
    assert embedder(vertex).embed_query("a").shape == (768,)


def test_expired_credentials_are_an_error_at_once(tmp_path):
    """A key of a deleted account, on a real channel: gRPC reports it as "unavailable"."""
    with (
        serving(secure=True) as vertex,
        credentials.serving(tmp_path / "gone.json", refuse=True) as env,
    ):
        deleted_account = service_account.Credentials.from_service_account_file(
            env["GOOGLE_APPLICATION_CREDENTIALS"], scopes=["cloud-platform"]
        )
        channel = secure_authorized_channel(
            deleted_account,
            Request(),
            vertex.address,
            ssl_credentials=grpc.local_channel_credentials(),
        )
        model = embedder(vertex)
        model._client = PredictionServiceClient(
            transport=PredictionServiceGrpcTransport(channel=channel)
        )
        with pytest.raises(ModelUnavailable, match="credentials do not work") as error:
            model.embed_query("a")
    assert not isinstance(error.value, ModelBusy)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (grpc.StatusCode.NOT_FOUND, "retired"),
        (grpc.StatusCode.PERMISSION_DENIED, "roles/aiplatform.user"),
        (grpc.StatusCode.UNAUTHENTICATED, "gcloud auth"),
    ],
)
def test_a_permanent_error_says_what_to_do(vertex, status, message):
    vertex.refuse = [status]
    with pytest.raises(ModelUnavailable, match=message):
        embedder(vertex).embed_query("a")

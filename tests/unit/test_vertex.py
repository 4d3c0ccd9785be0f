"""The real Google client against the stand-in on loopback."""

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

from ragkit.embedders import vertex as module
from ragkit.embedders.vertex import VertexEmbedder
from ragkit.errors import (
    BadVectors,
    ConfigError,
    ModelBusy,
    ModelUnavailable,
    SomeRefused,
    TextTooLong,
    WrongDimension,
)
from ragkit.migration.asking import ask
from ragkit.models import find
from tests.stand_ins import credentials
from tests.stand_ins import vertex as stand_in


def embedder(vertex, name="text-embedding-005"):
    return VertexEmbedder(find(name), {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address})


def test_rows_and_questions_go_with_their_own_task(vertex):
    model = embedder(vertex)
    assert model.embed_documents(["a", "b"]).shape == (2, 768)
    assert model.embed_query("a").dtype == np.float32
    assert [call[1] for call in vertex.calls] == [{"RETRIEVAL_DOCUMENT"}, {"RETRIEVAL_QUERY"}]


def test_gecko_has_no_task(vertex):
    embedder(vertex, "textembedding-gecko@001").embed_query("a")
    assert vertex.calls == [("textembedding-gecko@001", {None}, 1)]


def test_a_request_takes_250_texts(vertex):
    texts = [f"text {n}" for n in range(251)]
    vectors = embedder(vertex).embed_documents(texts)
    assert sorted(call[2] for call in vertex.calls) == [1, 250]
    np.testing.assert_array_equal(vectors[250], embedder(vertex).embed_documents(texts[250:])[0])


def test_a_request_takes_20_000_tokens(vertex):
    texts = [f"{n} " + "word " * 500 for n in range(60)]  # 640 tokens each
    embedder(vertex).embed_documents(texts)
    assert sum(call[2] for call in vertex.calls) == 60
    assert len(vertex.calls) < 8  # the estimate comes down to what the service counts


def test_texts_that_would_be_cut_are_refused_and_the_others_kept(vertex):
    model = embedder(vertex)
    with pytest.raises(SomeRefused, match="2048") as error:
        model.embed_documents(["a", "word " * 3000, "b"])
    assert list(error.value.refused) == [1]
    np.testing.assert_array_equal(error.value.vectors[2], model.embed_documents(["b"])[0])
    with pytest.raises(TextTooLong, match="2048"):
        model.embed_query("word " * 3000)


def test_gemini_takes_one_text_a_request_and_shorter_vectors_get_unit_length(vertex):
    vectors = embedder(vertex, "gemini-embedding-001/768").embed_documents(["a b", "b c", "c d"])
    assert [call[2] for call in vertex.calls] == [1, 1, 1]
    assert {call[0] for call in vertex.calls} == {"gemini-embedding-001"}
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors.shape == (3, 768)
    assert embedder(vertex, "gemini-embedding-001").embed_query("a b").shape == (3072,)


def test_an_empty_text_is_refused_alone(vertex):
    answers = ask(embedder(vertex), ["a", "", "b"], 5)
    assert (sorted(answers.vectors), list(answers.refused)) == ([0, 2], [1])


def test_a_passing_refusal_is_tried_again(vertex):
    vertex.refuse = [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE]
    assert embedder(vertex).embed_query("a").shape == (768,)


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [("count", BadVectors, r"\(1, 768\), expected \(2, 768\)"),
     ("dimension", WrongDimension, r"\(2, 767\), expected \(2, 768\)")],
)  # fmt: skip
def test_a_wrong_answer_is_never_taken_for_vectors(vertex, wrong, error, says):
    vertex.wrong = wrong
    with pytest.raises(error, match=says):
        embedder(vertex).embed_documents(["a", "b"])


def test_a_storm_of_refusals_ends_with_the_quota(vertex, monkeypatch):
    monkeypatch.setattr(module, "DEADLINE_SECONDS", 1.5)
    vertex.refuse = [grpc.StatusCode.RESOURCE_EXHAUSTED] * 50
    with pytest.raises(ModelBusy, match="the quota is used up"):
        embedder(vertex).embed_query("a")
    assert 45 <= len(vertex.refuse) < 50


def test_a_service_that_hangs_is_asked_again_until_the_deadline(vertex, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPT_SECONDS", 0.2)
    monkeypatch.setattr(module, "DEADLINE_SECONDS", 1.5)
    vertex.delay = 1.0
    with pytest.raises(ModelBusy, match="no answer in time"):
        embedder(vertex).embed_query("a")
    vertex.delay = 0.0
    assert embedder(vertex).embed_query("a").shape == (768,)


def test_expired_credentials_are_told_at_once(tmp_path):
    """gRPC says "unavailable" then; a key that Google no longer knows, by a real channel."""
    with (
        stand_in.serving(secure=True) as vertex,
        credentials.serving(tmp_path / "gone.json", refuse=True) as env,
    ):
        gone = service_account.Credentials.from_service_account_file(
            env["GOOGLE_APPLICATION_CREDENTIALS"], scopes=["cloud-platform"]
        )
        channel = secure_authorized_channel(
            gone, Request(), vertex.address, ssl_credentials=grpc.local_channel_credentials()
        )
        found = embedder(vertex)
        found._client = PredictionServiceClient(
            transport=PredictionServiceGrpcTransport(channel=channel)
        )
        with pytest.raises(ModelUnavailable, match="credentials do not work") as error:
            found.embed_query("a")
    assert not isinstance(error.value, ModelBusy)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (grpc.StatusCode.NOT_FOUND, "retired"),
        (grpc.StatusCode.PERMISSION_DENIED, "roles/aiplatform.user"),
        (grpc.StatusCode.UNAUTHENTICATED, "gcloud auth"),
    ],
)
def test_a_lasting_refusal_says_what_to_do(vertex, status, says):
    vertex.refuse = [status]
    with pytest.raises(ModelUnavailable, match=says):
        embedder(vertex).embed_query("a")


def test_the_project_is_that_of_the_instance_when_no_other_is_named():
    env = {"INSTANCE_CONNECTION_NAME": "acme.com:shop:us-central1:db", "VERTEX_ENDPOINT": "x:1"}
    model = VertexEmbedder(find("text-embedding-005"), env)
    assert model._endpoint.startswith("projects/acme.com:shop/locations/us-central1/")


def test_without_a_project_the_setting_is_named():
    with pytest.raises(ConfigError, match="GCP_PROJECT_ID"):
        VertexEmbedder(find("text-embedding-005"), {})


def test_a_region_that_cannot_be_one():
    env = {"GCP_PROJECT_ID": "p", "GCP_LOCATION": "Iowa"}
    with pytest.raises(ConfigError, match="us-central1"):
        VertexEmbedder(find("text-embedding-005"), env)

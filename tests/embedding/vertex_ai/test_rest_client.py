"""The way of a question: its session, its token, and answers that are none."""

import json
from http.server import BaseHTTPRequestHandler

import grpc
import numpy as np
import pytest
from google.oauth2 import service_account

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.vertex_ai import service
from ragkit.embedding.vertex_ai.rest_client import RestClient
from ragkit.errors import BadVectors, ModelBusy, ModelUnavailable, RowRefused
from tests.conftest import free_port
from tests.stand_ins import credentials, http_server
from tests.stand_ins.vertex import made

MODEL = find_model("text-embedding-005")


def client(address, key=None):
    env = {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": address.removeprefix("http://")}
    return RestClient(MODEL, env, key)


def ask(rest):
    return rest.predict(service.shape_instances(["a"], "RETRIEVAL_QUERY"), {})


@pytest.fixture
def say():
    """A server that answers one status and body to every request, and keeps the requests."""
    requests, answer = [], {}

    class Server(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.path, self.headers["Authorization"], json.loads(body)))
            self.send_response(answer["status"])
            self.end_headers()
            self.wfile.write(answer["body"])

        def log_message(self, *_):
            pass

    with http_server.serving(Server) as address:

        def start(status, body):
            answer.update(status=status, body=body)
            return address, requests

        yield start


def test_the_request_is_that_of_googles_reference(vertex):
    (prediction,) = ask(client(vertex.address))
    assert prediction == service.Prediction(made(MODEL.name, "a"), tokens=1, truncated=False)
    assert vertex.calls == [(MODEL.name, {"RETRIEVAL_QUERY"}, 1)]
    name = f"projects/p/locations/us-central1/publishers/google/models/{MODEL.name}"
    assert vertex.endpoints == [name]


def test_the_token_of_the_credentials_is_sent(say, tmp_path, monkeypatch):
    body = {"predictions": [{"embeddings": {"values": [1.0]}}]}
    address, requests = say(200, json.dumps(body).encode())
    with credentials.serving(tmp_path / "key.json") as env:
        key = service_account.Credentials.from_service_account_file(
            env["GOOGLE_APPLICATION_CREDENTIALS"], scopes=["cloud-platform"]
        )
        ask(client(address, key))
    ((path, authorization, sent),) = requests
    assert authorization == f"Bearer {credentials.TOKEN}"
    assert path.endswith(f"/{MODEL.name}:predict")
    assert sent["instances"] == [{"content": "a", "task_type": "RETRIEVAL_QUERY"}]


def test_expired_credentials_are_an_error_at_once(vertex, tmp_path):
    """A key of a deleted account."""
    with credentials.serving(tmp_path / "gone.json", refuse=True) as env:
        key = service_account.Credentials.from_service_account_file(
            env["GOOGLE_APPLICATION_CREDENTIALS"], scopes=["cloud-platform"]
        )
        with pytest.raises(ModelUnavailable, match="credentials do not work") as error:
            ask(client(vertex.address, key))
    assert not isinstance(error.value, ModelBusy)
    assert not vertex.endpoints


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (200, b"<html>", BadVectors, "no embeddings"),
        (200, b"[]", BadVectors, "no embeddings"),
        (200, b'{"predictions": [{"embeddings": null}]}', BadVectors, "no embeddings"),
        (503, b"upstream", ModelBusy, "cannot be reached"),
        (403, b"<html>", ModelUnavailable, "roles/aiplatform.user"),
        (400, b'{"error": {"status": "INVALID_ARGUMENT", "message": "text"}}', RowRefused, "text"),
        (400, b'{"error": "plain"}', RowRefused, "does not take this text"),
        (418, b"", ModelUnavailable, "try again"),
    ],
)
def test_an_answer_that_is_no_prediction_is_explained(
    say, monkeypatch, status, body, error, message
):
    monkeypatch.setattr(service, "DEADLINE_SECONDS", 0.0)
    address, _ = say(status, body)
    with pytest.raises(error, match=message) as raised:
        ask(client(address))
    assert "upstream" not in str(raised.value)


def test_a_service_that_cannot_be_reached_is_retried_until_the_deadline(monkeypatch):
    monkeypatch.setattr(service, "DEADLINE_SECONDS", 1.0)
    with pytest.raises(ModelBusy, match="check GCP_LOCATION and the network"):
        ask(client(f"127.0.0.1:{free_port()}"))


def test_a_connection_that_the_service_has_closed_is_replaced(vertex, monkeypatch):
    """As one that was idle between two requests."""
    rest = client(vertex.address)
    first = ask(rest)
    np.testing.assert_array_equal(first[0].values, ask(rest)[0].values)
    rest._session.close()
    assert ask(rest) == first


def test_each_refusal_for_the_quota_is_told(vertex, monkeypatch):
    monkeypatch.setattr(service, "FIRST_PAUSE_SECONDS", 0.01)
    status, told = grpc.StatusCode, []
    vertex.refuse = [status.RESOURCE_EXHAUSTED, status.UNAVAILABLE, status.RESOURCE_EXHAUSTED]
    instances = service.shape_instances(["a"], "RETRIEVAL_QUERY")
    client(vertex.address).predict(instances, {}, lambda: told.append(1))
    assert len(told) == 2

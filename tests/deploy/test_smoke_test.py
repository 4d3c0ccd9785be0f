"""The smoke test against a real HTTP server."""

import json
from http.server import BaseHTTPRequestHandler

import httpx
import pytest

from ragkit.deploy.smoke_test import result_fields, run_smoke_test
from ragkit.errors import DeployError
from tests.stand_ins import http_server

MODEL, QUESTION = "text-embedding-005", "a child's toy"
RESULTS = [{"name": "A", "description": "B"}, {"name": "C", "description": "D", "price": 1}]


class StubApp:
    """`health` and `body`: what the app answers, JSON or bytes. `questions`: what it was asked."""

    def __init__(self):
        self.health: object = {"model": MODEL}
        self.status, self.body = 200, {"results": RESULTS}
        self.questions: list[str] = []


@pytest.fixture
def app():
    return StubApp()


@pytest.fixture
def client(app):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._answer(200, app.health)

        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            app.questions.append(request["name"])
            self._answer(app.status, app.body)

        def _answer(self, status, body):
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with (
        http_server.serving(Handler) as address,
        httpx.Client(base_url=address, timeout=10) as client,
    ):
        yield client


def test_a_good_answer_is_returned_as_the_app_sent_it(client, app):
    answer = run_smoke_test(client, QUESTION, MODEL, ["name", "description"])
    assert json.loads(answer) == {"results": RESULTS}
    assert app.questions == [QUESTION]
    assert result_fields(answer) == {"name", "description", "price"}


def test_a_field_that_one_result_lacks_is_an_error(client):
    with pytest.raises(DeployError, match="the results lack location, price"):
        run_smoke_test(client, QUESTION, MODEL, ["price", "name", "location"])


@pytest.mark.parametrize(
    ("health", "message"),
    [
        ({"model": "textembedding-gecko@001"}, "it serves textembedding-gecko@001"),
        ({"error": "column embedding_005 is filling"}, "column embedding_005 is filling"),
    ],
)
def test_an_app_that_does_not_serve_the_model_is_an_error(client, app, health, message):
    app.health = health
    with pytest.raises(DeployError, match=f"expected an app that serves {MODEL}: {message}"):
        run_smoke_test(client, QUESTION, MODEL)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, {"results": []}, "got 200: no results"),
        (503, {"error": "no column embedding_005"}, "got 503: no column embedding_005"),
        (200, b"<html>", "got no JSON answer"),
    ],
)
def test_an_answer_without_results_is_an_error(client, app, status, body, message):
    app.status, app.body = status, body
    with pytest.raises(DeployError, match=message):
        run_smoke_test(client, QUESTION, MODEL)


def test_an_app_that_does_not_answer_is_an_error():
    with (
        httpx.Client(base_url="http://127.0.0.1:9") as client,
        pytest.raises(DeployError, match=r"from http://127\.0\.0\.1:9.*ConnectError"),
    ):
        run_smoke_test(client, QUESTION, MODEL)

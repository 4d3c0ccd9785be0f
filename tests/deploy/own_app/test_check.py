"""How an app is asked over real HTTP, and what is said of answers that are none."""

import json
import shlex
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler

import httpx
import pytest

from ragkit.deploy.own_app import check as module
from ragkit.deploy.own_app.check import Check
from ragkit.errors import AppNotRecognised, ConfigError
from tests.stand_ins import http_server

QUESTION = "a child's toy"
HOSTILE = ['"}, "admin": {"x": "', "{question}", "a\nb\\", "レストラン", "$HOME `ls` \\", QUESTION]


class Recorder:
    """What the app was asked: (method, path with parameters, body, headers); what it answers."""

    def __init__(self):
        self.asked: list[tuple] = []
        self.status, self.kind, self.body = 200, "application/json", b"[]"
        self.headers: dict[str, str] = {}

    def answer(self, body):
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.fixture
def app():
    recorder = Recorder()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            recorder.asked.append((self.command, self.path, body, dict(self.headers)))
            self.send_response(recorder.status)
            self.send_header("Content-Type", recorder.kind)
            self.send_header("Content-Length", str(len(recorder.body)))
            for name, value in recorder.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(recorder.body)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    with http_server.serving(Handler) as recorder.url:
        yield recorder


def ask(app, check, question=QUESTION):
    with check.client(app.url) as client:
        return check.ask(client, question)


@pytest.mark.parametrize("question", HOSTILE)
def test_no_question_changes_the_json_of_a_post(app, question):
    body = '{"query": {"text": "find {question}"}, "top": 3, "tags": ["{question}", null]}'
    check = Check(path="/v2", body=body, rows="")
    ask(app, check, question)
    method, path, sent, _ = app.asked[0]
    assert (method, path) == ("POST", "/v2")
    expected = {"query": {"text": f"find {question}"}, "top": 3, "tags": [question, None]}
    assert json.loads(sent) == expected


@pytest.mark.parametrize("question", [*HOSTILE, "a&n=9#x"])
def test_no_question_changes_the_parameters_of_a_get(app, question):
    check = Check(method="GET", path="/find", body='{"q": "{question}", "n": 3}', rows="")
    ask(app, check, question)
    method, path, sent, _ = app.asked[0]
    parameters = httpx.URL(path).params
    assert (method, dict(parameters), sent) == ("GET", {"q": question, "n": "3"}, b"")


@pytest.mark.parametrize(
    ("rows", "field", "answer"),
    [
        ("results", "id", {"results": [{"id": 7}, {"id": " a  b\n"}]}),
        ("", ".", [7, "a b"]),
        ("data.1.hits", "doc.id",
         {"data": [0, {"hits": [{"doc": {"id": 7}}, {"doc": {"id": "a b"}}]}]}),
        ("choices.0.found", "0", {"choices": [{"found": [[7], ["a b"]]}]}),
    ],
)  # fmt: skip
def test_rows_and_their_fields_stand_where_the_paths_say(app, rows, field, answer):
    app.answer(answer)
    check = Check(rows=rows, field=field)
    found = ask(app, check)
    assert check.identify(found.rows) == ["7", "a b"]
    assert json.loads(found.text) == answer


@pytest.mark.parametrize(
    ("field", "row"), [("id", {"name": "canary"}), ("a", {"a": True}), ("a", {"a": ["canary"]}),
                       ("a.b.c", {"a": {"b": 1}}), ("5", [1]), (".", None)],
)  # fmt: skip
def test_a_row_without_the_field_is_told_without_its_text(field, row):
    with pytest.raises(AppNotRecognised, match=r"correct check\.field") as error:
        Check(field=field).identify([row])
    assert "canary" not in str(error.value)


@pytest.mark.parametrize(
    ("status", "kind", "body", "message"),
    [
        (200, "text/html; charset=utf-8", b"<html>canary",
         r"expected JSON .*, got text/html \(POST"),
        (200, "", b"", "expected JSON of the app, got something else"),
        (200, "application/json", b"\xff\xfe", "expected JSON of the app, got application/json"),
        (200, "application/json", b"[" * 100_000, "expected JSON of the app"),
        (200, "application/json", b'{"hits": ["canary"], "total": 1}',
         "a list at 'results' of the app's answer, got the fields 'hits', 'total': correct check"),
        (200, "application/json", b'{"results": "canary"}', "got the fields 'results'"),
        (200, "application/json", b"null", "got NoneType: correct check.rows"),
        (200, "application/json", b"{}", "got no field"),
        (401, "application/json", b"canary", r"401 \(.*: set check\.authorization_env"),
        (302, "text/html", b"canary", r"302 \(POST http://127\.0\.0\.1:\d+/\): correct app\.url"),
        (500, "text/plain", b"canary", "500 .*see the app's log"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_one_line_without_its_text(app, status, kind, body, message):
    app.status, app.kind, app.body = status, kind, body
    app.headers = {"Location": "http://127.0.0.1:9/elsewhere"} if status == 302 else {}
    with pytest.raises(AppNotRecognised, match=message) as error:
        ask(app, Check())
    assert "canary" not in str(error.value)
    assert "\n" not in str(error.value)


def test_an_app_that_refuses_connections_is_one_line():
    with (
        Check().client("http://127.0.0.1:9") as client,
        pytest.raises(AppNotRecognised, match=r"cannot be reached \(POST http://127.*ConnectError"),
    ):
        Check().ask(client, QUESTION)


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n["])
def test_an_app_that_hangs_is_not_waited_for(monkeypatch, first):
    """It accepts and is silent; or it sends a byte now and then, so that no read times out."""
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.6)
    stop = threading.Event()

    def dribble(listening):
        connection, _ = listening.accept()
        with connection:
            connection.sendall(first)
            while not stop.wait(0.1) and first:
                connection.sendall(b" ")
            stop.wait(5)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=dribble, args=(listening,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        start = time.monotonic()
        with (
            Check().client(url) as client,
            pytest.raises(AppNotRecognised, match=r"did not answer within 0\.6 s"),
        ):
            Check().ask(client, QUESTION)
        assert time.monotonic() - start < 3
        stop.set()


def test_an_answer_without_end_is_refused(app, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    app.answer([" " * 2000])
    with pytest.raises(AppNotRecognised, match="more than 1,000 bytes"):
        ask(app, Check(rows=""))


class TestAuthorization:
    check = Check(rows="", authorization_env="SEARCH_KEY")

    def test_the_header_is_the_variable_s_value(self, app, monkeypatch):
        monkeypatch.setenv("SEARCH_KEY", "Bearer canary")
        ask(app, self.check)
        assert app.asked[0][3]["Authorization"] == "Bearer canary"
        assert "canary" not in repr(self.check) + self.check.shell_line("http://x", "q")
        assert self.check.shell_line("http://x", "q").endswith('-H "Authorization: $SEARCH_KEY"')

    @pytest.mark.parametrize(
        ("value", "message"),
        [("", "SEARCH_KEY is not set"), ("canary\nX: 1", "cannot"), ("canary é", "cannot")],
    )
    def test_what_is_no_header_is_refused_without_it(self, monkeypatch, value, message):
        monkeypatch.setenv("SEARCH_KEY", value)
        with pytest.raises(ConfigError, match=message) as error:
            self.check.client("http://127.0.0.1:9")
        assert "canary" not in str(error.value)


@pytest.mark.parametrize("question", HOSTILE)
def test_a_shell_reads_the_question_back(question):
    *command, body = shlex.split(Check().shell_line("http://127.0.0.1:8080", question))
    assert command == [
        "curl", "-X", "POST", "http://127.0.0.1:8080",
        "-H", "Content-Type: application/json", "-d",
    ]  # fmt: skip
    assert json.loads(body) == {"name": question}
    get = Check(method="GET", path="/s", body='{"q": "{question}", "n": 3}')
    assert shlex.split(get.shell_line("http://x", question)) == [
        "curl", "--get", "http://x/s", "--data-urlencode", f"q={question}",
        "--data-urlencode", "n=3",
    ]  # fmt: skip

"""The page as its own browser meets it, and as others do: real sockets on loopback."""

import http.client
import json
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest

from ragkit.errors import ConfigError
from ragkit.runbook.judging import page
from ragkit.runbook.judging.page import FILES, serving


@pytest.fixture
def messages():
    return []


@pytest.fixture
def address(messages):
    def handle(message):
        messages.append(message)
        return {"question": "ä", "count": len(messages)}

    with serving(handle) as address:
        yield address


def status(address, method="POST", path=None, body="{}", **headers):
    """Of a raw request: clients correct headers."""
    url = urlsplit(address)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
    connection.putrequest(method, path or url.path, skip_host=True)
    sent = {"Host": url.netloc, "Content-Type": "application/json", "Content-Length": len(body)}
    for name, value in (sent | {n.replace("_", "-"): v for n, v in headers.items()}).items():
        if value is not None:
            connection.putheader(name, str(value))
    connection.endheaders(body.encode())
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_page_loads_nothing_from_elsewhere(address):
    for name, (_, kind) in FILES.items():
        answer = httpx.get(address + name)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith(kind)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "http:" not in answer.text.replace("http://www.w3.org", "")
        assert "https:" not in answer.text


def test_a_message_gets_a_state(address, messages):
    answer = httpx.post(address, json={"answer": "left", "turn": "q1"})
    assert answer.json() == {"question": "ä", "count": 1}
    assert messages == [{"answer": "left", "turn": "q1"}]


def test_it_is_on_this_machine_only_and_its_address_cannot_be_guessed(address):
    url = urlsplit(address)
    assert url.hostname == "127.0.0.1"
    assert len(url.path.strip("/")) >= 20
    others = [info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)]
    for host in {host for host in others if not host.startswith("127.") and host != "::1"}:
        with pytest.raises(OSError), socket.create_connection((host, url.port), timeout=2):
            pass


class TestRefused:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Host": "evil.example"},  # a name that was made to lead to this machine
            {"Host": "evil.example:80"},
            {"Host": None},
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Content_Type": "text/plain"},  # what a form of another page can send
            {"Content_Type": None},
            {"Content_Length": None},
            {"Content_Length": "many"},
            {"Content_Length": page.MAX_BYTES + 1},
        ],
        ids=str,
    )
    def test_what_is_not_its_own_page(self, address, messages, headers):
        assert status(address) == 200
        assert status(address, **headers) == 404
        assert len(messages) == 1

    @pytest.mark.parametrize(
        "path", ["/", "/judge.js", "/wrong/", "/wrong/judge.js", "//", "/%00/"]
    )
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_without_the_secret_nothing_is_there(self, address, messages, method, path):
        assert status(address, method, path) == 404
        assert messages == []

    def test_no_other_file_is_served(self, address):
        own = urlsplit(address).path
        for name in ("page.py", "../page.py", "..%2fpage.py", "judge.html", "x/../judge.js"):
            assert status(address, "GET", own + name) == 404

    @pytest.mark.parametrize("body", ["", "[]", '"left"', "{", "[" * 100_000])
    def test_a_message_that_is_none(self, address, messages, body):
        assert status(address, body=body) == 404
        assert messages == []

    def test_other_methods(self, address):
        assert [status(address, method) for method in ("PUT", "DELETE", "OPTIONS")] == [501] * 3


def test_its_own_origin_is_fine_by_both_names(address):
    port = urlsplit(address).port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        assert status(address, Host=host, Origin=f"http://{host}") == 200


def test_a_client_that_says_nothing_blocks_nobody_and_is_closed(monkeypatch):
    monkeypatch.setattr(page, "SOCKET_SECONDS", 0.3)
    with serving(lambda message: {}) as address:
        url = urlsplit(address)
        silent = [socket.create_connection((url.hostname, url.port)) for _ in range(5)]
        half = socket.create_connection((url.hostname, url.port))
        half.sendall(f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n".encode())
        assert httpx.post(address, json={}, timeout=5).json() == {}
        for each in (*silent, half):
            each.settimeout(5)
            while each.recv(1000):
                pass
            each.close()


def test_it_ends_at_once_also_with_clients(address):
    start = time.monotonic()
    with serving(lambda message: {}) as other:
        url = urlsplit(other)
        idle = socket.create_connection((url.hostname, url.port))
    assert time.monotonic() - start < 2
    idle.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(other)


def test_a_port_that_is_taken_is_told(address):
    port = urlsplit(address).port
    with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{port}: .*choose another --port"):
        serving(lambda message: {}, port).__enter__()


def test_the_secret_is_printed_nowhere(address, capfd):
    httpx.get(address)
    httpx.get(address + "nothing")
    assert json.dumps(capfd.readouterr()) == '["", ""]'

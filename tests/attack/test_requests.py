"""Requests of somebody who means harm, and a database that falls silent, at the real function."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

LONGEST_SECONDS = 15
MAX_GROWTH = 50 * 2**20


def raw(client, *parts, pause=0.0):
    """The answer to bytes that no client library would send."""
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(10)
        return connection.recv(65536)


def test_a_body_that_is_too_large_is_refused_before_it_is_read(client, memory):
    before = memory()
    assert before > 0
    for _ in range(3):
        try:
            answer = client.post("/", content=b" " * 60_000_000)
        except httpx.TransportError:
            continue  # it hung up while the rest was sent
        assert answer.status_code == 413
        assert "at most 65536 bytes" in answer.json()["error"]
    assert client.post("/", content=b"x" * 65_537).status_code == 413
    assert client.post("/", content=b" " * 65_000 + b'{"name": "tea"}').status_code == 200
    assert memory() - before < MAX_GROWTH


def post_chunks(client, chunks):
    """On a connection of its own: the server closes it, if it does not read all."""
    return httpx.post(client.base_url, content=iter(chunks)).status_code


def test_a_chunked_body_that_is_too_large_is_refused(client):
    assert post_chunks(client, [b" " * 10_000] * 100) == 413
    assert post_chunks(client, [b'{"name": "tea"}', b" " * 65_600]) == 413
    assert post_chunks(client, [b" " * 65_000, b'{"name": "tea"}']) == 200


@pytest.mark.parametrize(
    "chunk", [b"zz\r\nx\r\n0\r\n\r\n", b"5\r\nab", b"-1\r\n\r\n", b"ffffffffff\r\nx\r\n"]
)
def test_a_broken_chunk_is_refused(client, chunk):
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = raw(client, head, chunk)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert client.post("/", json={"name": "tea"}).status_code == 200


def test_a_body_that_is_broken_off_is_refused(client):
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n"
    answer = raw(client, head, b'{"name": "tea"')
    assert answer == b"" or b" 400 " in answer.split(b"\r\n")[0]


def test_head_is_answered_without_a_body(client):
    for path, status in (("/healthz", 200), ("/?name=tea", 200), ("/", 400)):
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (status, b"")


def test_questions_to_a_silent_database_are_answered_in_time(client, proxy, report):
    """Half-open connections, as after a failover: on those of the pool, and on new ones."""
    proxy.talking.clear()
    try:
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _: timed(client), range(12)))
    finally:
        proxy.talking.set()
    assert {answer.status_code for answer, _ in answers} == {503}
    longest = max(seconds for _, seconds in answers)
    report("longest answer under half-open connections", f"{longest:.1f} s")
    assert longest < LONGEST_SECONDS
    assert {answer.json()["error"].split(":")[0] for answer, _ in answers} <= {
        "no answer in time", "the database does not answer",
    }  # fmt: skip
    deadline = time.monotonic() + 30
    while client.post("/", json={"name": "tea"}).status_code != 200:
        assert time.monotonic() < deadline


def timed(client):
    start = time.monotonic()
    answer = httpx.post(client.base_url, json={"name": "tea"}, timeout=60)
    return answer, time.monotonic() - start

"""Serves a built source folder by functions-framework, as Google's runtime does."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import sqlalchemy as sa

from tests.conftest import PYTHON, free_port

CANARY = "canary-password"
HEALTH_TOKEN = "health-token"
START_SECONDS = 20


@contextmanager
def serve_function(source: Path, python=PYTHON, **variables: str) -> Iterator[httpx.Client]:
    """A client of the function, which has nothing but `variables` in its environment.

    Its output is in function.log, beside `source`.
    """
    port, log = free_port(), source.parent / "function.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [python, "-P", "-m", "functions_framework", "--target=hello_http", f"--port={port}"],
            cwd=source, env={"PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1", **variables},
            stdout=output, stderr=output,
        )  # fmt: skip
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=40) as client:
                deadline = time.monotonic() + START_SECONDS
                while not _answers(client):
                    assert process.poll() is None, log.read_text()
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
                yield client
        finally:
            process.terminate()
            process.wait(10)


def _answers(client: httpx.Client) -> bool:
    try:
        client.request("PUT", "/")
    except httpx.TransportError:
        return False
    return True


def function_variables(engine: sa.Engine, **more: str) -> dict[str, str]:
    """The environment of a function that searches `engine`'s stock table by wordllama-256."""
    return {
        "DATABASE_URL": engine.url.render_as_string(),
        "DB_PASS": CANARY,
        "EMBEDDING_MODEL": "wordllama-256",
        "STOCK_COLUMNS": "wordllama-256=embedding",
        "HEALTH_TOKEN": HEALTH_TOKEN,
        **more,
    }

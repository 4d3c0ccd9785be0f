"""The function beside two peers: one written by hand, and langchain-postgres's PGVectorStore.

All of them run behind functions-framework, search one table with one local model, and get the same
bursts of questions in turns.
"""

import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import httpx
import numpy as np
import psutil
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.database.engine import autocommit
from ragkit.deploy.vendor import build_source
from ragkit.sandbox.folders import Folders
from ragkit.sandbox.postgres import Postgres
from ragkit.sandbox.sample import sample_rows
from tests.bench.peers.mission import Mission
from tests.conftest import PYTHON, ROLE
from tests.function.serve import function_variables, serve_function

ROWS = 2000
"""Texts of the sandbox's sample."""
REQUESTS, CLIENTS, TURNS, WARM_UP = 150, 2, 4, 60
"""Of one burst, the connections that send it, the bursts of each app in one repetition, and
requests before the first."""
PEERS = Path(__file__).parent / "peers"
MODEL = {
    "EMBEDDING_MODEL": "mission:Mission", "RAGKIT_PLUGIN_PATH": str(PEERS),
    "STOCK_COLUMNS": "mission:Mission=embedding", "PYTHONPATH": str(PEERS),
}  # fmt: skip
"""One that costs little, so that what is around it shows, with the mission's dimension."""
PGVECTORSTORE = ("functions-framework", "langchain-postgres", "wordllama", "numpy")
"""What the environment of that peer gets."""
INSTALL_SECONDS = 600


@dataclass(frozen=True)
class Burst:
    """What questions took: CPU of the app's processes, and time."""

    requests: int
    cpu_seconds: float
    seconds: float

    @property
    def cpu_ms(self) -> float:
        """A request."""
        return 1000 * self.cpu_seconds / self.requests

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    def __add__(self, other: "Burst") -> "Burst":
        return Burst(
            self.requests + other.requests, self.cpu_seconds + other.cpu_seconds,
            self.seconds + other.seconds,
        )  # fmt: skip


def measure(repetitions: int = 5) -> dict[str, list[float]]:
    """One value a repetition: `function_overhead_cpu_ms`, CPU of a request above that of the
    hand-written function; `function_vs_handwritten_rps` and `function_vs_pgvectorstore_rps`,
    requests a second over those of the peer. The last one is absent where the peer cannot be
    installed: stderr says why."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench ")))
        apps = stack.enter_context(serving(folder))
        results: dict[str, list[float]] = {}
        for _ in range(repetitions):
            for name, value in figures(send_in_turns(apps)).items():
                results.setdefault(name, []).append(value)
        return results


def send_in_turns(apps: Mapping[str, httpx.Client]) -> dict[str, Burst]:
    """One repetition: short bursts, so that other work on the machine hits all apps alike."""
    bursts = dict.fromkeys(apps, Burst(0, 0.0, 0.0))
    for _ in range(TURNS):
        for name, app in apps.items():
            bursts[name] += send_burst(app)
    return bursts


def figures(bursts: Mapping[str, Burst]) -> dict[str, float]:
    """Of one repetition."""
    ours, handwritten = bursts["ragkit"], bursts["handwritten"]
    values = {
        "function_overhead_cpu_ms": ours.cpu_ms - handwritten.cpu_ms,
        "function_vs_handwritten_rps": ours.rate / handwritten.rate,
    }
    if peer := bursts.get("pgvectorstore"):
        values["function_vs_pgvectorstore_rps"] = ours.rate / peer.rate
    return values


@contextmanager
def serving(folder: Path) -> Iterator[dict[str, httpx.Client]]:
    """The apps by name, warm, over one database."""
    with ExitStack() as stack:
        postgres = Postgres(Folders.at(folder / "home"))
        stack.callback(postgres.remove)
        postgres.start()
        postgres.create("bench", owner=ROLE)
        engine = postgres.engine(ROLE, "bench")
        stack.callback(engine.dispose)
        fill(engine)
        sources = {"ragkit": build_source(folder / "ragkit" / "source")}
        environments = {
            "ragkit": (PYTHON, function_variables(engine, **MODEL)),
            "handwritten": (PYTHON, peer_variables(engine)),
        }
        if python := install_pgvectorstore(folder / "environment"):
            environments["pgvectorstore"] = (python, peer_variables(engine))
        apps = {}
        for name, (python, variables) in environments.items():
            source = sources.get(name) or copy_peer(name, folder / name / "source")
            apps[name] = stack.enter_context(serve_function(source, python=python, **variables))
        check_answers(apps)
        for app in apps.values():
            send_burst(app, WARM_UP)
        yield apps


def fill(engine: sa.Engine) -> None:
    """A stock table of `ROWS` texts with an HNSW index."""
    embedder = Mission()
    texts = islice(cycle(enumerate(sample_rows())), ROWS)
    rows = [(key, row["name"], f"{row['description']} ({key})") for key, (_, row) in enumerate(texts)]
    vectors = embedder.embed_documents([f"{name}. {description}" for _, name, description in rows])
    table = sa.Table(
        "amenities", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text), sa.Column("description", sa.Text),
        sa.Column("embedding", VECTOR(len(vectors[0]))),
    )  # fmt: skip
    names = [column.name for column in table.columns]
    values = [dict(zip(names, (*row, vector), strict=True)) for row, vector in zip(rows, vectors, strict=True)]
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(sa.insert(table).values(values))
        connection.exec_driver_sql("create index on amenities using hnsw (embedding vector_cosine_ops)")
    with autocommit(engine) as connection:
        connection.exec_driver_sql("vacuum analyze amenities")


def peer_variables(engine: sa.Engine) -> dict[str, str]:
    return {
        "DB_USER": engine.url.username or "", "PYTHONPATH": str(PEERS),
        "DB_NAME": engine.url.database or "", "DB_SOCKET": str(engine.url.query["unix_sock"]),
    }  # fmt: skip


def copy_peer(name: str, target: Path) -> Path:
    target.mkdir(parents=True)
    (target / "main.py").write_text((PEERS / name / "main.py").read_text())
    return target


def install_pgvectorstore(folder: Path) -> Path | None:
    """The interpreter of a new environment; None, and the reason on stderr, when it cannot be
    made."""
    python = folder / "bin" / "python"
    commands = [[PYTHON, "-m", "venv", folder], [python, "-m", "pip", "install", "--quiet", *PGVECTORSTORE]]
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            print(f"no PGVectorStore: not installed in {INSTALL_SECONDS} s", file=sys.stderr)
            return None
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            print(f"no PGVectorStore: {reason}", file=sys.stderr)
            return None
    return python


def check_answers(apps: Mapping[str, httpx.Client]) -> None:
    """All of them answer the same."""
    answers = {name: app.post("/", json={"name": "coffee"}).text for name, app in apps.items()}
    results = [json.loads(text)["results"] for text in answers.values() if text.startswith("{")]
    assert len(results) == len(apps), answers
    assert all(result == results[0] for result in results), answers
    assert len(results[0]) == 3, answers


def send_burst(app: httpx.Client, requests: int = REQUESTS) -> Burst:
    """Questions over `CLIENTS` kept connections."""
    port = app.base_url.port or 0
    server = find_server(port)
    threads = [threading.Thread(target=ask, args=(port, requests // CLIENTS)) for _ in range(CLIENTS)]
    start, before = time.perf_counter(), cpu_seconds(server)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Burst(requests, cpu_seconds(server) - before, time.perf_counter() - start)


def ask(port: int, requests: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": "application/json"}
    words = islice(cycle(("coffee", "a silent room", "sushi", "train to the terminals")), requests)
    for number, word in enumerate(words):
        connection.request("POST", "/", json.dumps({"name": f"{word} {number}"}), headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {body[:200]!r}")
    connection.close()


def find_server(port: int) -> psutil.Process:
    """The master of the functions-framework that listens on `port`."""
    for process in psutil.Process().children():
        if f"--port={port}" in process.cmdline():
            return process
    raise LookupError(f"no function listens on port {port}")


def cpu_seconds(server: psutil.Process) -> float:
    """Of the server and its workers."""
    times = [process.cpu_times() for process in (server, *server.children(recursive=True))]
    return float(np.sum([(t.user, t.system) for t in times]))

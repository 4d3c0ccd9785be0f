"""The function beside two peers: one written by hand, and langchain-postgres's PGVectorStore.

All of them get the same bursts of questions in turns.
"""

import http.client
import json
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import httpx
import psutil

from tests.bench.apps import serving

REQUESTS, CLIENTS, TURNS, WARM_UP = 150, 2, 4, 60
"""Of one burst, the connections that send it, the bursts of each app in one repetition, and
requests before the first."""
QUESTIONS = ("coffee", "a silent room", "sushi", "train to the terminals")
REQUEST_SECONDS = 30


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
    results: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="bench ") as folder, serving(Path(folder)) as apps:
        for app in apps.values():
            send_burst(app, WARM_UP)
        for _ in range(repetitions):
            for name, value in figures(send_in_turns(apps)).items():
                results.setdefault(name, []).append(value)
    return results


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


def send_in_turns(apps: Mapping[str, httpx.Client]) -> dict[str, Burst]:
    """One repetition: short bursts, so that other work on the machine hits all apps alike."""
    bursts = dict.fromkeys(apps, Burst(0, 0.0, 0.0))
    for _ in range(TURNS):
        for name, app in apps.items():
            bursts[name] += send_burst(app)
    return bursts


def send_burst(app: httpx.Client, requests: int = REQUESTS) -> Burst:
    """Questions over `CLIENTS` kept connections. Raises RuntimeError for one that fails."""
    port = app.base_url.port or 0
    server, failures = find_server(port), list[str]()
    share = (port, requests // CLIENTS, failures)
    threads = [threading.Thread(target=ask, args=share) for _ in range(CLIENTS)]
    start, before = time.perf_counter(), cpu_seconds(server)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    burst = Burst(requests, cpu_seconds(server) - before, time.perf_counter() - start)
    if failures:
        raise RuntimeError(failures[0])
    return burst


def ask(port: int, requests: int, failures: list[str]) -> None:
    """Not by httpx, whose own CPU would slow the app down."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_SECONDS)
    headers = {"Content-Type": "application/json"}
    try:
        for number, question in enumerate(islice(cycle(QUESTIONS), requests)):
            body = json.dumps({"name": f"{question} {number}"})
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                failures.append(f"{answer.status}: {text[:200]!r}")
    except (OSError, http.client.HTTPException) as error:
        failures.append(repr(error))
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
    return float(sum(t.user + t.system for t in times))

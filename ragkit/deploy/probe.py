"""The probe: steady traffic at the app through the whole migration, and what its log proves.

    python -m ragkit.deploy.probe URL QUESTIONS LOG RATE [CHECK]

CHECK is a Check as JSON; without it, ragkit's own function is asked.

An open loop: requests leave on time whether or not the ones before came back, and latency
counts from the time a request was due, so that a stall is seen in full (no coordinated
omission). Two JSON lines a request: due (UNIX time) when it is sent; due, ms, status, model and
error when it came back.
"""

import asyncio
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import httpx

from ragkit.deploy.own_app.check import Check
from ragkit.errors import AppNotRecognised

if TYPE_CHECKING:  # the backfill reads a probe's log without it
    import pandas as pd

RATE = 12.0
TIMEOUT_SECONDS = 10.0
BYTES_A_SECOND = 10_000
"""More than the log of the fastest probe grows by in a second."""
OUTSTANDING_SECONDS = TIMEOUT_SECONDS + 1
"""No request is outstanding for longer: an older one was sent by a probe that is gone."""


@dataclass(frozen=True)
class Summary:
    """The figures of a log. `longest_gap_ms` is the longest time between two good answers."""

    requests: int
    failed: int
    p50_ms: float
    p95_ms: float
    longest_gap_ms: float


def read(log: Path) -> "pd.DataFrame":
    """One row for each request that came back, in the order they were due; a torn last line is
    left out."""
    import pandas as pd

    rows = [row for row in _parse(log.read_bytes() if log.exists() else b"") if "ms" in row]
    columns = ["due", "ms", "status", "model", "error"]
    return pd.DataFrame(rows, columns=columns).sort_values("due", ignore_index=True)


def summary(requests: "pd.DataFrame") -> Summary:
    """The figures of a log that `read` has read."""
    if requests.empty:
        return Summary(0, 0, 0.0, 0.0, 0.0)
    good = requests[requests["error"].isna()]
    answered = (good["due"] * 1000 + good["ms"]).sort_values()
    return Summary(
        len(requests),
        int(requests["error"].notna().sum()),
        round(float(requests["ms"].quantile(0.5)), 2),
        round(float(requests["ms"].quantile(0.95)), 2),
        round(float(answered.diff().max()), 2) if len(good) > 1 else float("inf"),
    )


def p95_by_model(requests: "pd.DataFrame") -> dict[str, float]:
    """p95 in ms of what each model answered, the first to serve first; {} when the app names no
    model in its answers."""
    good = requests[requests["error"].isna()].astype({"ms": float})  # an empty log has no type
    p95 = good.groupby("model", sort=False)["ms"].quantile(0.95)
    return {str(model): round(float(ms), 2) for model, ms in p95.items()}


def _parse(log: bytes) -> list[dict[str, Any]]:
    lines = log.splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


async def run(
    url: str, questions: Iterable[str], log: Path, rate: float = RATE, check: Check | None = None
) -> None:
    """Asks until it is cancelled, then waits for the answers still to come."""
    check = check or Check()
    pending: set[asyncio.Task[None]] = set()
    # Closed when idle, before a server that shuts down closes it under a request.
    limits = httpx.Limits(max_connections=200, keepalive_expiry=1.0)
    async with httpx.AsyncClient(
        base_url=url, timeout=TIMEOUT_SECONDS, limits=limits, headers=check.headers()
    ) as client:
        with log.open("a", encoding="utf-8", buffering=1) as file:
            start = time.time()
            try:
                for number, question in enumerate(itertools.cycle(list(questions))):
                    due = start + number / rate
                    await asyncio.sleep(max(0.0, due - time.time()))
                    task = asyncio.create_task(_ask(client, check, question, due, file))
                    pending.add(task)
                    task.add_done_callback(pending.discard)
            finally:
                await asyncio.gather(*pending)


async def _ask(
    client: httpx.AsyncClient, check: Check, question: str, due: float, file: TextIO
) -> None:
    status, model, error = None, None, None
    file.write(json.dumps({"due": due}) + "\n")
    try:
        answer = await client.request(**check.request(question))
        status, model = answer.status_code, answer.headers.get("X-Embedding-Model")
        if status != httpx.codes.OK:
            error = f"status {status}"
        elif not check.find_rows(answer.json()):
            error = "no results"
    except AppNotRecognised:
        error = "no results"
    except (httpx.HTTPError, ValueError) as problem:
        error = type(problem).__name__
    ms = round((time.time() - due) * 1000, 3)
    line = {"due": due, "ms": ms, "status": status, "model": model, "error": error}
    file.write(json.dumps(line) + "\n")


async def _main(url: str, questions: Path, log: Path, rate: float, check: Check) -> None:
    texts = [json.loads(line)["text"] for line in questions.read_text().splitlines() if line]
    task, parent = asyncio.create_task(run(url, texts, log, rate, check)), os.getppid()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    while not task.done() and os.getppid() == parent:  # a killed run leaves no probe behind
        await asyncio.wait({task}, timeout=0.5)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    address, asked, kept, per_second, *told = sys.argv[1:]
    how = Check(**json.loads(told[0])) if told else Check()
    asyncio.run(_main(address, Path(asked), Path(kept), float(per_second), how))

"""The readers: a steady open loop of requests to the app. One JSON line for each request.

    python -m tests.chaos.readers URL LOG RATE

A request that fails is repeated until its deadline. `errors` holds the time and reason of each
failure, so that the checker can separate an outage of the server from a fault of ragkit.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import httpx

QUESTIONS = ("coffee", "a quiet place", "phone charger", "train to the city", "vegan food")
DEADLINE_SECONDS, PAUSE_SECONDS = 60.0, 0.2


async def main(url: str, log: Path, rate: float) -> None:
    start, pending = time.time(), set()
    limits = httpx.Limits(max_connections=400, keepalive_expiry=1.0)
    async with httpx.AsyncClient(timeout=DEADLINE_SECONDS, limits=limits) as client:
        with log.open("a", buffering=1) as file:
            number = 0
            while True:
                due = start + number / rate
                await asyncio.sleep(max(0.0, due - time.time()))
                question = QUESTIONS[number % len(QUESTIONS)]
                task = asyncio.create_task(ask(client, url, question, due, file))
                pending.add(task)
                task.add_done_callback(pending.discard)
                number += 1


async def ask(client: httpx.AsyncClient, url: str, question: str, due: float, file) -> None:
    errors, model, answered = [], None, False
    while not answered and time.time() - due < DEADLINE_SECONDS:
        try:
            answer = await client.post(url, json={"name": question})
            answered = answer.status_code == 200 and len(answer.json()["results"]) == 3
            model = answer.headers.get("X-Embedding-Model")
            problem = f"{answer.status_code} {answer.text[:120]}"
        except (httpx.HTTPError, ValueError, KeyError) as error:
            problem = type(error).__name__
        if not answered:
            errors.append((time.time(), problem))
            await asyncio.sleep(PAUSE_SECONDS)
    line = {"due": due, "ms": (time.time() - due) * 1000, "ok": answered, "model": model}
    file.write(json.dumps({**line, "errors": errors}) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])))

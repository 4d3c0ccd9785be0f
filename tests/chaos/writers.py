"""The writers: inserts, edits of the text, other edits and deletes, each acknowledged.

    python -m tests.chaos.writers DATABASE_URL LOG FLAG RATE ROWS

One JSON line for each operation: its time, duration, kind and key, and the columns that it leaves
(null for a deleted row). An operation that fails in an outage is repeated until it is
acknowledged. While the file FLAG is absent, the app serves the old model and writes old vectors
with its texts; afterwards it does not. SIGTERM stops the process between two operations: an
operation that is in the table but not in the log would look like a lost write.
"""

import json
import random
import signal
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

import sqlalchemy as sa

from ragkit.embedding.load import load_embedder
from ragkit.sandbox.sample import OLD_COLUMN, amenities

THREADS = 3
OLD_MODEL = "wordllama-64"


class Writer:
    def __init__(
        self, engine: sa.Engine, flag: Path, journal: TextIO, keys: list[int], new_keys: range
    ):
        self._engine, self._flag, self._journal = engine, flag, journal
        self._keys, self._new_keys = keys, iter(new_keys)
        self._embedder = load_embedder(OLD_MODEL)
        self._table = amenities(self._embedder.model.dimension)
        self._random = random.Random(keys[0])

    def run(self, rate: float, stop: threading.Event) -> None:
        """Until `stop` is set; the current operation is finished and recorded first."""
        start, number = time.time(), 0
        while not stop.wait(max(0.0, start + number / rate - time.time())):
            self._write_one(number)
            number += 1

    def _write_one(self, number: int) -> None:
        kind = self._random.choices(("insert", "text", "other", "delete"), (3, 4, 2, 1))[0]
        text = f"Place {number} is a shop. {self._random.choice(('Tea', 'Maps', 'Wool'))} {number}."
        name = f"Place {number}"
        key = next(self._new_keys) if kind == "insert" else self._random.choice(self._keys)
        start, retries = time.time(), 0
        while True:
            try:
                state = self._execute(kind, key, text, name)
                break
            except (sa.exc.DBAPIError, OSError):  # pg8000 may raise the socket's own error
                retries += 1
                time.sleep(0.1)
        if kind == "insert":
            self._keys.append(key)
        elif kind == "delete":
            self._keys.remove(key)
        line = {"at": start, "ms": (time.time() - start) * 1000, "kind": kind, "key": key}
        self._journal.write(json.dumps({**line, "state": state, "retries": retries}) + "\n")

    def _execute(self, kind: str, key: int, text: str, name: str) -> dict | None:
        """Safe to repeat. Returns the columns that the row must have from now on."""
        is_row = self._table.c.id == key
        vector = {} if self._flag.exists() else {OLD_COLUMN: self._embedder.embed_query(text)}
        with self._engine.begin() as connection:
            if kind == "delete":
                connection.execute(sa.delete(self._table).where(is_row))
                return None
            if kind == "insert":
                connection.execute(sa.delete(self._table).where(is_row))
                row = {"id": key, "name": name, "content": text, **vector}
                connection.execute(sa.insert(self._table).values(row))
                return {"content": text, "name": name}
            if kind == "text":
                change = {"content": text, **vector}
                connection.execute(sa.update(self._table).where(is_row).values(change))
                return {"content": text}
            connection.execute(sa.update(self._table).where(is_row).values(name=name))
            return {"name": name}


def main(url: str, log: Path, flag: Path, rate: float, rows: int) -> None:
    engine = sa.create_engine(
        url, pool_pre_ping=True, connect_args={"application_name": "chaos-writer"}
    )
    stop = threading.Event()
    parts: list[Future[None]] = []
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with log.open("a", buffering=1) as file, ThreadPoolExecutor(THREADS) as pool:
        for number in range(THREADS):
            keys = list(range(1 + number, rows + 1, THREADS))
            new_keys = range(10**6 * (number + 1), 10**6 * (number + 2))
            writer = Writer(engine, flag, file, keys, new_keys)
            parts.append(pool.submit(writer.run, rate / THREADS, stop))
        for part in parts:
            part.result()  # a writer that died fails the proof


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))

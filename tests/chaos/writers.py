"""People who write: inserts, edits of the text, other edits, deletes, each acknowledged.

    python -m tests.chaos.writers DATABASE_URL LOG FLAG RATE ROWS

One JSON line an operation: when, how long, what, and the state it leaves: [text, name], or null
for a deleted row. An operation that is lost in an outage is done again until it is acknowledged.
While the file FLAG is absent the app serves the old model, and writes old vectors beside its
texts; afterwards it no longer does. SIGTERM ends it between two operations: one that was done and
not written down would look like a lost write.
"""

import json
import random
import signal
import sys
import threading
import time
from pathlib import Path

import sqlalchemy as sa

from ragkit.embedders import load
from ragkit.sandbox.stand_in import OLD_COLUMN, amenities

THREADS = 3
OLD_MODEL = "wordllama-64"


class Writer:
    def __init__(self, engine: sa.Engine, flag: Path, file, keys: list[int], fresh: range):
        self._engine, self._flag, self._file = engine, flag, file
        self._keys, self._fresh = keys, iter(fresh)
        self._embedder = load(OLD_MODEL)
        self._table = amenities(self._embedder.model.dimension)
        self._random = random.Random(keys[0])

    def run(self, rate: float, stop: threading.Event) -> None:
        """Until told to stop: the operation in hand is ended and written down."""
        start, number = time.time(), 0
        while not stop.wait(max(0.0, start + number / rate - time.time())):
            self._one(number)
            number += 1

    def _one(self, number: int) -> None:
        kind = self._random.choices(("insert", "text", "other", "delete"), (3, 4, 2, 1))[0]
        text = f"Place {number} is a shop. {self._random.choice(('Tea', 'Maps', 'Wool'))} {number}."
        name = f"Place {number}"
        key = next(self._fresh) if kind == "insert" else self._random.choice(self._keys)
        began, again = time.time(), 0
        while True:
            try:
                state = self._do(kind, key, text, name)
                break
            except sa.exc.DBAPIError:
                again += 1
                time.sleep(0.1)
        if kind == "insert":
            self._keys.append(key)
        elif kind == "delete":
            self._keys.remove(key)
        line = {"at": began, "ms": (time.time() - began) * 1000, "kind": kind, "key": key}
        self._file.write(json.dumps({**line, "state": state, "again": again}) + "\n")

    def _do(self, kind: str, key: int, text: str, name: str) -> dict | None:
        """Safe to be done twice. Returns the columns that the row must have from now on."""
        mine = self._table.c.id == key
        vector = {} if self._flag.exists() else {OLD_COLUMN: self._embedder.embed_query(text)}
        with self._engine.begin() as connection:
            if kind == "delete":
                connection.execute(sa.delete(self._table).where(mine))
                return None
            if kind == "insert":
                connection.execute(sa.delete(self._table).where(mine))
                row = {"id": key, "name": name, "content": text, **vector}
                connection.execute(sa.insert(self._table).values(row))
                return {"content": text, "name": name}
            if kind == "text":
                change = {"content": text, **vector}
                connection.execute(sa.update(self._table).where(mine).values(change))
                return {"content": text}
            connection.execute(sa.update(self._table).where(mine).values(name=name))
            return {"name": name}


def main(url: str, log: Path, flag: Path, rate: float, rows: int) -> None:
    engine = sa.create_engine(
        url, pool_pre_ping=True, connect_args={"application_name": "chaos-writer"}
    )
    stop, threads = threading.Event(), []
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with log.open("a", buffering=1) as file:
        for part in range(THREADS):
            keys = list(range(1 + part, rows + 1, THREADS))
            fresh = range(10**6 * (part + 1), 10**6 * (part + 2))
            writer = Writer(engine, flag, file, keys, fresh)
            threads.append(threading.Thread(target=writer.run, args=(rate / THREADS, stop)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))

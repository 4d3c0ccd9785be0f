"""An application that only an impolite backfill disturbs: idle transactions, and transactions of
several rows.

    python -m tests.chaos.manners DATABASE_URL LOG FLAG RATE

It has rows of its own, so that it meets nobody but ragkit. One thread gives a row a new text, then
holds it for seconds, again and again; another one writes the rows beside it, and notes how long
each write takes. RATE times a second, others write several rows in one transaction, in random
order, each thread its own rows: a deadlock is one with ragkit. One JSON line for each transaction;
FLAG and SIGTERM as for the writers.
"""

import json
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

import sqlalchemy as sa

from ragkit.database.translate import sqlstate
from ragkit.embedding.load import load_embedder
from ragkit.sandbox.sample import OLD_COLUMN, amenities
from tests.chaos.writers import OLD_MODEL

NEIGHBOURS, SEVERAL, HELD = "neighbours", "several", "held"
FIRST_KEY, ROWS_OF_A_THREAD, THREADS = 50_000_000, 64, 3
HOLD_SECONDS, REST_SECONDS = (1.0, 4.0), (0.5, 2.0)
"""Without a rest there would be no moment for a change of the schema."""
NEIGHBOUR_SECONDS, ROWS_OF_A_TRANSACTION = 0.03, 4
DEADLOCK = "40P01"


def keys_of(thread: int) -> range:
    """Rows that lie together."""
    return range(FIRST_KEY, FIRST_KEY + (THREADS + 1) * ROWS_OF_A_THREAD)[thread :: THREADS + 1]


class App:
    def __init__(self, engine: sa.Engine, flag: Path, journal: TextIO):
        self._engine, self._flag, self._journal = engine, flag, journal
        self._embedder = load_embedder(OLD_MODEL)
        self._table = amenities(self._embedder.model.dimension)

    def insert(self) -> None:
        rows = [
            {"id": key, "name": "own", **self._new_text(key)}
            for thread in range(THREADS + 1) for key in keys_of(thread)
        ]  # fmt: skip
        with self._engine.begin() as connection:
            connection.execute(sa.insert(self._table), rows)

    def hold(self, stop: threading.Event) -> None:
        """Every second row of the first thread's."""
        choose, held = random.Random(0), keys_of(0)[::2]
        while not stop.wait(choose.uniform(*REST_SECONDS)):
            key = choose.choice(held)
            self._commit(HELD, [key], 0.0)
            row = sa.select(self._table.c.id).where(self._table.c.id == key).with_for_update()
            try:
                with self._engine.begin() as connection:
                    connection.execute(row)
                    stop.wait(choose.uniform(*HOLD_SECONDS))
            except (sa.exc.DBAPIError, OSError):  # an outage
                stop.wait(0.1)

    def write_neighbours(self, stop: threading.Event) -> None:
        choose, others = random.Random(1), keys_of(0)[1::2]
        while not stop.wait(NEIGHBOUR_SECONDS):
            self._commit(NEIGHBOURS, [choose.choice(others)], 0.0)

    def write_several(self, thread: int, rate: float, stop: threading.Event) -> None:
        choose, start, number = random.Random(thread), time.time(), 0
        while not stop.wait(max(0.0, start + number / rate - time.time())):
            keys = choose.sample(keys_of(thread), ROWS_OF_A_TRANSACTION)
            self._commit(SEVERAL, keys, choose.uniform(0, 0.004))
            number += 1

    def _commit(self, kind: str, keys: Sequence[int], pause: float) -> None:
        """Repeated after an outage; a deadlock is noted. `pause`: seconds between two rows."""
        start, deadlocks = time.time(), 0
        while True:
            try:
                self._write(keys, pause)
                break
            except (sa.exc.DBAPIError, OSError) as error:
                deadlocks += sqlstate(error) == DEADLOCK
                time.sleep(0.1)
        line = {"at": start, "ms": (time.time() - start) * 1000, "kind": kind}
        self._journal.write(json.dumps({**line, "deadlocks": deadlocks}) + "\n")

    def _write(self, keys: Sequence[int], pause: float) -> None:
        """The first row gets a new text, the others a new name."""
        with self._engine.begin() as connection:
            for number, key in enumerate(keys):
                time.sleep(pause if number else 0.0)
                values = {"name": f"own {time.time()}"} if number else self._new_text(key)
                change = sa.update(self._table).where(self._table.c.id == key)
                connection.execute(change.values(values))

    def _new_text(self, key: int) -> dict[str, object]:
        text = f"Place {key} is a shop. Now {time.time()}."
        if self._flag.exists():
            return {"content": text}
        return {"content": text, OLD_COLUMN: self._embedder.embed_query(text)}


def main(url: str, log: Path, flag: Path, rate: float) -> None:
    engine = sa.create_engine(
        url, pool_pre_ping=True, connect_args={"application_name": "chaos-writer"}
    )
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with log.open("a", buffering=1) as file, ThreadPoolExecutor(THREADS + 2) as pool:
        app = App(engine, flag, file)
        app.insert()
        works: list[Callable[[], None]] = [
            lambda: app.hold(stop),
            lambda: app.write_neighbours(stop),
            *(
                lambda thread=thread: app.write_several(thread, rate / THREADS, stop)
                for thread in range(1, THREADS + 1)
            ),
        ]
        for work in [pool.submit(work) for work in works]:
            work.result()  # one that died fails the proof


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]))

"""What questions use of a paid model is taken from the quota that a backfill shares.

After the fact, in a thread of its own: no question waits for the quota or for this. The backfill's
next request is later by that much.
"""

import logging
import queue
import threading

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.wire.round_trip import ask
from ragkit.embedding.embedder import Embedder, MeteredEmbedder
from ragkit.errors import RagkitError

SETTINGS = {"lock_timeout": "1s", "statement_timeout": "2s"}
"""The quota is one row, which a backfill holds for the time of an UPDATE."""
log = logging.getLogger(__name__)

_Use = tuple[int, int, int]
"""Requests that were answered, their tokens, and requests that were refused for now."""


class LiveMeter:
    """A RequestMeter that lets every request pass. `function` is that of the rescue's plan, as SQL;
    without one, nothing is told to the database. Safe to share."""

    def __init__(self, engine: sa.Engine):
        self._engine, self.function = engine, ""
        self._uses: queue.Queue[_Use] = queue.Queue()

    def around(self, embedder: Embedder) -> Embedder:
        """The embedder, metered if its service is paid; called once."""
        if not isinstance(embedder, MeteredEmbedder):
            return embedder
        threading.Thread(target=self._work, daemon=True, name="rescue quota").start()
        return embedder.with_meter(self)

    def before(self, tokens: int) -> None:
        """Waits for nothing."""

    def after(self, tokens: int) -> None:
        self._tell((1, tokens, 0))

    def busy(self) -> None:
        self._tell((0, 0, 1))

    def wait(self) -> None:
        """Until everything that was used is taken."""
        self._uses.join()

    def _tell(self, use: _Use) -> None:
        if self.function:
            self._uses.put(use)

    def _work(self) -> None:
        while True:
            uses = [self._uses.get()]
            while not self._uses.empty():  # this thread alone takes from it
                uses.append(self._uses.get())
            try:
                with translate_errors("taking from the quota"):
                    self._take(*map(sum, zip(*uses, strict=True)))
            except RagkitError as error:
                log.warning("rescue: %s", error)
            except Exception as error:  # its text may hold a secret
                log.error("rescue: unexpected %s", type(error).__name__)
            finally:
                for _ in uses:
                    self._uses.task_done()

    def _take(self, *use: int) -> None:
        sql = f"select {self.function}($1::bigint, $2::bigint, $3::bigint)"
        with self._engine.connect() as connection:
            connection.connection.rollback()  # pg8000: the pool's ping has opened a transaction
            ask(connection, sql, [number.to_bytes(8, "big") for number in use], SETTINGS)

"""The vectors that a question has paid for are written after its answer: nothing is paid twice."""

import logging
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.database.keys import Key
from ragkit.database.translate import translate_errors
from ragkit.database.wire.arrays import encode_vectors
from ragkit.database.wire.round_trip import ask
from ragkit.errors import RagkitError
from ragkit.retrieval.contract import regclass
from ragkit.retrieval.guarded_write import (
    SETTINGS,
    SIDE_SETTINGS,
    encode_digests,
    encode_texts,
    update_sql,
    upsert_sql,
)
from ragkit.retrieval.rescue.plan import RescuePlan
from ragkit.retrieval.space import Binding

QUEUE_SIZE = 64
"""Answers whose vectors may wait. Those of further ones are lost, and paid for again."""
_VECTOR = "select 'vector'::regtype::oid::bigint"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bought:
    """Vectors of shape (rows, dimension), the keys of their rows, and the texts they were made
    from."""

    keys: Sequence[str]
    texts: Sequence[str]
    vectors: np.ndarray


class Filling:
    """Writes one answer's vectors after the other, in a thread of its own. Safe to share."""

    def __init__(self, engine: sa.Engine):
        self._engine = engine
        self._waiting: queue.Queue[tuple[Binding, RescuePlan, Bought]] = queue.Queue(QUEUE_SIZE)
        threading.Thread(target=self._work, daemon=True, name="rescue").start()

    def offer(self, binding: Binding, plan: RescuePlan, bought: Bought) -> None:
        """Returns at once."""
        try:
            self._waiting.put_nowait((binding, plan, bought))
        except queue.Full:
            log.warning("rescue: %d vectors are lost, writes are too slow", len(bought.keys))

    def wait(self) -> None:
        """Until everything that was offered is written."""
        self._waiting.join()

    def _work(self) -> None:
        while True:
            offered = self._waiting.get()
            try:
                with translate_errors("writing the vectors of an answer"):
                    write(self._engine, *offered)
            except RagkitError as error:
                log.warning("rescue: %s", error)
            except Exception as error:  # its text may hold a secret
                log.error("rescue: unexpected %s", type(error).__name__)
            finally:
                self._waiting.task_done()


def write(engine: sa.Engine, binding: Binding, plan: RescuePlan, bought: Bought) -> int:
    """How many vectors landed: not those of rows that were changed, filled or locked meanwhile,
    which a backfill sees to. Raises pg8000's errors."""
    with engine.connect() as connection:
        connection.connection.rollback()  # pg8000: the pool's ping has opened a transaction
        [[oid]] = ask(connection, _VECTOR, [], {})
        values = [
            encode_texts(bought.keys),
            encode_digests(bought.texts) if binding.side else encode_texts(bought.texts),
            encode_vectors(int(oid), bought.vectors),
        ]
        settings = SIDE_SETTINGS if binding.side else SETTINGS
        [[landed]] = ask(connection, _write_sql(binding, plan), values, settings)
    return int(landed)


@lru_cache
def _write_sql(binding: Binding, plan: RescuePlan) -> str:
    table = regclass(binding.table)
    if binding.side:
        write = upsert_sql(table, plan.key_type, binding.side)
    else:
        key = Key((plan.key,), (plan.key_type,))
        content = f"r.{quote_identifier(plan.content)}"
        write = update_sql(table, key, content, binding.column)
    return f"{write}\nselect count(*) from written"

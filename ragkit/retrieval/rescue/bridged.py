"""Candidates by the bridge: rows of the old column that are near to the question's new vector."""

import logging
import threading
from functools import lru_cache

import numpy as np
import sqlalchemy as sa
from pgvector import Vector

from ragkit.database.identifiers import quote_identifier
from ragkit.database.wire.round_trip import ask
from ragkit.errors import DamagedContract, ModelError
from ragkit.retrieval.rescue.bridge import Bridge
from ragkit.retrieval.rescue.plan import RescuePlan, read_bridge
from ragkit.retrieval.search import STATEMENT_MS, ef_search, nearest_sql
from ragkit.retrieval.space import Binding

log = logging.getLogger(__name__)


class Bridges:
    """The bridge of a plan, which is read once: it has some megabytes. Safe to share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._checksum = ""
        self._bridge: Bridge | None = None

    def find(self, connection: sa.Connection, binding: Binding, plan: RescuePlan) -> Bridge | None:
        """None where there is none, or none that can be verified."""
        with self._lock:
            if plan.bridge != self._checksum:
                self._bridge = None
                try:
                    self._bridge = read_bridge(connection, binding, plan) if plan.bridge else None
                except DamagedContract as error:
                    log.error("rescue: full text serves alone: %s", error)
                self._checksum = plan.bridge
            return self._bridge


def find_bridged(
    connection: sa.Connection,
    old: Binding,
    plan: RescuePlan,
    bridge: Bridge,
    vector: np.ndarray,
    limit: int,
) -> list[str]:
    """Keys of the `limit` rows of the old column that are nearest, nearest first. `vector` is the
    question's by the new model. Raises pg8000's errors."""
    try:
        mapped = bridge.to_old(vector)
    except ModelError as error:
        log.warning("rescue: a question does not pass the bridge: %s", error)
        return []
    values = Vector(mapped).to_binary(), limit.to_bytes(8, "big")
    settings = {"statement_timeout": str(STATEMENT_MS), "hnsw.ef_search": str(ef_search(limit))}
    return [key for (key,) in ask(connection, _keys_sql(old, plan.key), values, settings)]


@lru_cache
def _keys_sql(old: Binding, key: str) -> str:
    near = nearest_sql(old.table, old.column, old.distance, (key,), old.side)
    return f"select n.{quote_identifier('key')}::text from ({near}) as n (key, away) order by away"

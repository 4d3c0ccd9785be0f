"""Candidates by vectors: rows of the old column by the bridge, and those with a new vector."""

import logging
import threading
from functools import lru_cache

import numpy as np
import sqlalchemy as sa
from pgvector import Vector

from ragkit.database.identifiers import quote_identifier
from ragkit.database.wire.round_trip import ask
from ragkit.errors import DamagedContract
from ragkit.retrieval.rescue.candidates.bridge import Bridge
from ragkit.retrieval.rescue.candidates.full_text import CANDIDATES_MS
from ragkit.retrieval.rescue.plan import RescuePlan, read_bridge
from ragkit.retrieval.search import ef_search, nearest_sql
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


def find_nearest(
    connection: sa.Connection, binding: Binding, key: str, vector: np.ndarray, limit: int
) -> list[str]:
    """Keys of the `limit` rows whose vectors are nearest in the binding's column, nearest first;
    `key` is the key's column. Raises pg8000's errors."""
    values = Vector(np.asarray(vector, np.float32)).to_binary(), limit.to_bytes(8, "big")
    settings = {"statement_timeout": str(CANDIDATES_MS), "hnsw.ef_search": str(ef_search(limit))}
    return [found for (found,) in ask(connection, _keys_sql(binding, key), values, settings)]


@lru_cache
def _keys_sql(binding: Binding, key: str) -> str:
    near = nearest_sql(
        binding.table,
        binding.column,
        binding.distance,
        (f"r.{quote_identifier(key)}",),
        binding.side,
    )
    return f"select n.key::text from ({near}) as n (key, away) order by away"

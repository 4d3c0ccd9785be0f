"""The bridge of a rescue as the way of rows into the old column: verified, scaled and marked."""

from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.types import as_array
from ragkit.errors import DamagedContract
from ragkit.migration.migration import Migration
from ragkit.migration.rescue.approximated import mark_sql, open_event
from ragkit.retrieval.rescue.candidates.bridge import Bridge
from ragkit.retrieval.rescue.plan import RescuePlan, read_bridge, read_plan

LENGTHS = 200
"""Old vectors whose lengths are looked at."""


@dataclass(frozen=True)
class WayBack:
    """A bridge, its checksum, the `length` of the vectors that it makes, and the SQL that marks
    them."""

    checksum: str
    bridge: Bridge
    length: float
    mark: str

    def to_old(self, vector: np.ndarray) -> np.ndarray:
        """Float32 of shape (old dimension,) for a new vector. Raises BadVectors."""
        return self.bridge.to_old(vector) * np.float32(self.length)

    def __str__(self) -> str:
        return f"{self.bridge.method} ({self.checksum[:12]})"


def find_way(migration: Migration, known: WayBack | None) -> WayBack | None:
    """By the contract; None where that has no bridge into the old column. `known` is answered where
    it is still the way: a bridge has some megabytes. Raises DamagedContract or DatabaseError."""
    with translate_errors("reading the bridge"), migration.engine.connect() as connection:
        plan = read_plan(connection, migration.new)
        if plan is None or not plan.bridge or plan.old_column != migration.plan.old.column:
            return None
        if known and known.checksum == plan.bridge:
            return known
        bridge = read_bridge(connection, migration.new, plan)
    shape = migration.new.space.dimension, migration.old.space.dimension
    if bridge.matrix.shape != shape:
        raise DamagedContract(
            f"the bridge has shape {bridge.matrix.shape}, the columns {shape}: run the rescue again"
        )
    return _open(migration, plan, bridge)


def _open(migration: Migration, plan: RescuePlan, bridge: Bridge) -> WayBack:
    with translate_errors("opening the way back"), migration.engine.begin() as connection:
        event = open_event(connection, migration, plan, bridge.method)
        mark = mark_sql(connection, migration.reversed(), event)
        return WayBack(plan.bridge, bridge, _usual_length(connection, migration), mark)


def _usual_length(connection: sa.Connection, migration: Migration) -> float:
    """The median of old vectors, 1 where there are none. A bridge maps directions: where the
    distance is not cosine, a row is found as one of the usual length would be."""
    old = migration.old_vector
    some = connection.scalars(migration.select(old).where(old.is_not(None)).limit(LENGTHS)).all()
    length = float(np.median(np.linalg.norm(as_array(some), axis=1))) if some else 0.0
    return length or 1.0

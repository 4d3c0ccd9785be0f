"""How many candidates of an index of bits are ranked by their vectors, kept in the contract.

It is chosen on the filled column and its index, by vectors of rows as questions, and searched as an
app does. Questions lie further from the rows: the comparison measures the recall on those too.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pg8000
import sqlalchemy as sa

from ragkit.database.translate import QUERY_CANCELED, sqlstate, translate_errors
from ragkit.database.types import as_array
from ragkit.migration import ledger
from ragkit.migration.migration import Migration
from ragkit.retrieval.contract import as_served
from ragkit.retrieval.contract_changes import set_oversampling
from ragkit.retrieval.quantised.bits import MAX_EF_SEARCH, factors
from ragkit.retrieval.search import EXACTLY, nearest_with_distance

PROVISIONAL = 8
"""While it is being chosen: a rescued app searches as soon as the index is valid."""
EVENT = "oversampling"
"""In the ledger."""
QUERIES = 50
EXACT_SECONDS = 20.0
"""Of exact searches; the queries after that are compared with the most candidates that can be."""
LIMITS = {"statement_timeout": "60000"}
TOLERANCE = 1e-6
"""Distances that differ by less are equal."""
DEVIATIONS = 1.96
"""Of the mean recall, which the low end of its interval lies below it."""


@dataclass(frozen=True)
class Choice:
    """The mean recall@k of `queries` rows with this oversampling."""

    oversampling: int
    recall: float
    k: int
    queries: int


def settle(migration: Migration, is_valid: bool) -> None:
    """Writes into the contract how the index of bits is searched, or that there is none. What was
    measured once stays, until the plan says something else. Raises DatabaseError."""
    plan = migration.plan.index
    with translate_errors("reading the contract"), migration.engine.connect() as connection:
        bound = as_served(connection, migration.new).oversampling
        is_settled = bool(bound) and _last_settled(connection, migration) == bound
    wanted: int | None = None
    detail: dict[str, object] = {}
    if plan.type == "binary" and is_valid:
        wanted = plan.oversampling or (bound if is_settled else None)
        if wanted is None:
            _write(migration, PROVISIONAL)
            choice = choose_oversampling(migration)
            wanted, bound = choice.oversampling, None
            detail = {"recall": round(choice.recall, 4), "k": choice.k, "rows": choice.queries}
    if wanted != bound:
        _write(migration, wanted)
        migration.record(EVENT, factor=wanted, **detail)


def _last_settled(connection: sa.Connection, migration: Migration) -> int | None:
    """Not what a killed choice has left in the contract."""
    events = ledger.events(connection, migration.id)
    settled = [event.detail["factor"] for event in events if event.kind == EVENT]
    return settled[-1] if settled else None


def _write(migration: Migration, factor: int | None) -> None:
    new = migration.new
    with translate_errors("writing the contract"), migration.engine.begin() as connection:
        set_oversampling(connection, new.table, new.column, factor, new.where)


def choose_oversampling(migration: Migration) -> Choice:
    """The smallest whose recall is surely above the gate's; else the largest."""
    k, limit = migration.plan.evaluation.k, migration.plan.gates.index_recall
    vector = migration.new_vector
    sample = migration.sample(vector, limit=QUERIES).where(vector.is_not(None))
    with translate_errors("choosing the oversampling"), migration.engine.connect() as connection:
        queries = as_array(connection.scalars(sample))
        connection.rollback()  # each search has a transaction, and settings, of its own
        search = _Search(connection, migration, k)
        best = search.best(queries)
        choice = Choice(factors(k)[-1], 1.0, k, 0)
        for factor in factors(k) if len(queries) else ():
            recall = search.recall(queries, best, factor)
            choice = Choice(factor, float(recall.mean()), k, len(queries))
            if choice.recall - DEVIATIONS * recall.std() / np.sqrt(len(recall)) >= limit:
                break
    return choice


@dataclass(frozen=True)
class _Search:
    """As the app searches; each query is a row, which finds itself first, and that does not
    count."""

    connection: sa.Connection
    migration: Migration
    k: int

    def best(self, queries: np.ndarray) -> list[np.ndarray]:
        """The distances of the nearest rows of each query."""
        end, best = time.monotonic() + EXACT_SECONDS, []
        for query in queries:
            found = self._exactly(query, end - time.monotonic())
            best.append(self._distances(query, MAX_EF_SEARCH) if found is None else found)
        return best

    def recall(self, queries: np.ndarray, best: Sequence[np.ndarray], factor: int) -> np.ndarray:
        """Of each query, of shape (queries,): rows at the same distance are the same row."""
        shares = []
        for query, right in zip(queries, best, strict=True):
            found = self._distances(query, factor)
            near = (found <= right[-1] + TOLERANCE).sum() if len(right) else 0
            shares.append(near / len(right) if len(right) else 1.0)
        return np.array(shares)

    def _exactly(self, query: np.ndarray, seconds: float) -> np.ndarray | None:
        """None where that takes longer."""
        if seconds <= 0:
            return None
        limits = {**EXACTLY, "statement_timeout": str(max(1, round(1000 * seconds)))}
        try:
            return self._distances(query, None, limits)
        except pg8000.DatabaseError as error:
            if sqlstate(error) != QUERY_CANCELED:
                raise
            self.connection.rollback()
            return None

    def _distances(
        self, query: np.ndarray, factor: int | None, settings: Mapping[str, str] = LIMITS
    ) -> np.ndarray:
        """Of the k next rows, of shape (k,)."""
        binding = replace(self.migration.new, oversampling=factor)
        nothing, limit = ["null"], self.k + 1
        rows = nearest_with_distance(self.connection, binding, query, nothing, limit, settings)
        return np.array([distance for _, distance in rows][1:], float)

"""The candidates of one question, as the database has them: by the question's words, by the bridge,
and by the new vectors that are there. What fails is left out, as long as another one answers."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.wire.ask_again import ask_again
from ragkit.errors import DatabaseError, DatabaseUnavailable, ModelError
from ragkit.retrieval.rescue.candidates.bridge import Bridge
from ragkit.retrieval.rescue.candidates.bridged import Bridges, find_nearest
from ragkit.retrieval.rescue.candidates.full_text import find_candidates
from ragkit.retrieval.rescue.candidates.ranking import fuse
from ragkit.retrieval.rescue.candidates.rows import Candidate, read_candidates
from ragkit.retrieval.rescue.plan import RescuePlan
from ragkit.retrieval.space import Binding

CANDIDATES = 100
"""Of a question. Those behind plan.rerank are ranked if they have their new vector."""
T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CandidateSource:
    """`old` is the column that the plan's bridge leads to, None without one; `columns` are those of
    an answer. Each method may raise DatabaseError; no connection is held between two of them."""

    engine: sa.Engine
    bridges: Bridges
    binding: Binding
    plan: RescuePlan
    old: Binding | None
    columns: Sequence[str]
    wanted: int

    def find_by_words(self, question: str) -> dict[str, str | None] | None:
        """Keys, best first, each with its text where it has no new vector; None where the search
        fails."""
        return self._try(find_candidates, self.binding, self.plan, question, self.wanted)

    def find_bridge(self) -> Bridge | None:
        """None without one that can be verified."""
        return self._try(self.bridges.find, self.binding, self.plan) if self.old else None

    def find_by_bridge(self, bridge: Bridge | None, vector: np.ndarray) -> list[str] | None:
        """Keys, nearest first, for the question's vector by the new model, of shape (dimension,);
        None where nothing can be searched."""
        if bridge is None or self.old is None:
            return None
        try:
            mapped = bridge.to_old(vector)
        except ModelError as error:
            log.warning("rescue: a question does not pass the bridge: %s", error)
            return None
        return self._try(find_nearest, self.old, self.plan.key, mapped, self.wanted)

    def read(self, lists: Sequence[Iterable[str] | None], vector: np.ndarray) -> list[Candidate]:
        """The rows of all lists, best first; where the table is small or the lists are empty, of
        the new vectors that are there too."""
        found = [list(keys) for keys in lists if keys is not None]
        if self.plan.is_small or not any(found):
            new = self._try(find_nearest, self.binding, self.plan.key, vector, self.wanted)
            found += [] if new is None else [new]
        if not found:
            raise DatabaseError("search: neither the full text nor the vectors can be searched")
        return self.read_rows(fuse(found)[: self.wanted], vector)

    def read_rows(self, keys: Sequence[str], vector: np.ndarray | None) -> list[Candidate]:
        """Those of `keys`, in that order; without a vector, their distances mean nothing."""
        if vector is None:
            vector = np.ones(self.binding.space.dimension, np.float32)
        return self._read(read_candidates, self.binding, self.plan, keys, vector, self.columns)

    def _try(self, read: Callable[..., T], *arguments: object) -> T | None:
        """None where the server refuses or ends the search: other candidates may do."""
        try:
            return self._read(read, *arguments)
        except DatabaseUnavailable:
            raise
        except DatabaseError as error:
            log.warning("rescue: %s: %s", read.__name__, error)
            return None

    def _read(self, read: Callable[..., T], *arguments: object) -> T:
        with translate_errors("search"):
            return ask_again(self.engine, lambda connection: read(connection, *arguments))

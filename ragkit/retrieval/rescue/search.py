"""The rescued search: candidates by full text and the bridge, re-ranked by the new model.

Rows that have their new vector cost nothing; the texts of others are embedded with the question,
and their vectors are kept. Where the model or the time fails, the order of the candidates is
answered, and the answer says so.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.wire.ask_again import ask_again
from ragkit.embedding.embedder import Embedder
from ragkit.errors import DatabaseError, DatabaseUnavailable, ModelError
from ragkit.retrieval.rescue.candidates.bridge import Bridge
from ragkit.retrieval.rescue.candidates.bridged import Bridges, find_nearest
from ragkit.retrieval.rescue.candidates.full_text import find_candidates
from ragkit.retrieval.rescue.candidates.ranking import fuse, rank, to_rank
from ragkit.retrieval.rescue.candidates.rows import Candidate, read_candidates
from ragkit.retrieval.rescue.embedding import Embedded, RememberingModel
from ragkit.retrieval.rescue.filling import Bought, Filling
from ragkit.retrieval.rescue.metering import LiveMeter
from ragkit.retrieval.rescue.plan import RescuePlan
from ragkit.retrieval.space import Binding

CANDIDATES = 100
"""Of a question. Those behind plan.rerank are ranked if they have their new vector."""
NOT_RANKED = "the new model did not rank it"
PARTLY_RANKED = "the new model ranked a part of it"
NO_FULL_TEXT = "the full text search failed"
T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RescuedAnswer:
    """Rows as of the native search. `bought`: the texts that were embedded for it. `degraded` says
    what it lacks; "" for nothing."""

    rows: list[Mapping[str, Any]]
    bought: int = 0
    degraded: str = ""


class RescuedSearch:
    """Safe to share between threads."""

    def __init__(
        self, engine: sa.Engine, embedder: Embedder, columns: Sequence[str],
        max_seconds: float = float("inf"),
    ):  # fmt: skip
        """The model is waited for as long as the plan says, at most `max_seconds`."""
        self._max_seconds = max_seconds
        self._engine, self._embedder, self._columns = engine, embedder, columns
        self.filling, self._bridges = Filling(engine), Bridges()
        self.meter = LiveMeter(engine)
        self._model = RememberingModel(self.meter.around(embedder))

    def search(
        self, binding: Binding, plan: RescuePlan, old: Binding | None, question: str, limit: int
    ) -> RescuedAnswer:
        """The `limit` best rows, best first; `old` is the column that plan.bridge leads to. Raises
        TextTooLong or DatabaseError."""
        wanted, self.meter.function = max(CANDIDATES, limit), plan.take_quota
        words = self._try(find_candidates, binding, plan, question, wanted)
        bridge = self._try(self._bridges.find, binding, plan) if old else None
        known, deadline = list(words or {}), time.monotonic() + self._seconds(plan)
        asked = _texts(words or {}, known[: plan.rerank // 2 if bridge else plan.rerank])
        first = self._model.embed(question, asked, deadline)
        if (vector := first.question) is None:
            return self._answer_unranked(binding, plan, words, limit)
        near = self._find_old(old, bridge, plan, vector, wanted)
        candidates = self._find_rows(binding, plan, [words, near], vector, wanted)
        second = Embedded(vector)
        if near:
            # By what the question alone decides, so that the second time all of it is bought.
            chosen = to_rank(known, fuse([known, near]), plan.rerank)
            missing = _texts({c.key: c.text for c in candidates}, chosen)
            more = {key: text for key, text in missing.items() if key not in asked}
            second = self._model.embed(question, more, deadline) if more else second
            asked |= more  # a row's text may have changed since: what was embedded counts
        bought = {**first.rows, **second.rows}
        self._keep(binding, plan, asked, bought)
        ranked = rank(candidates, vector, bought, binding)
        lacks = PARTLY_RANKED if asked.keys() - bought.keys() else ""
        return RescuedAnswer(
            [c.shown for c in ranked[:limit]],
            first.paid + second.paid,
            NO_FULL_TEXT if words is None else lacks,
        )

    def _seconds(self, plan: RescuePlan) -> float:
        return min(plan.seconds, self._max_seconds)

    def _answer_unranked(
        self, binding: Binding, plan: RescuePlan, words: Mapping[str, object] | None, limit: int
    ) -> RescuedAnswer:
        if words is None:
            raise DatabaseError("search: neither the full text search nor the model answers")
        shown = self._read_rows(binding, plan, list(words)[:limit], None)
        return RescuedAnswer([c.shown for c in shown], 0, NOT_RANKED)

    def _find_old(
        self, old: Binding | None, bridge: Bridge | None, plan: RescuePlan, vector: np.ndarray,
        wanted: int,
    ) -> list[str] | None:  # fmt: skip
        if not old or not bridge or (mapped := _map(bridge, vector)) is None:
            return None
        return self._try(find_nearest, old, plan.key, mapped, wanted)

    def _find_rows(
        self, binding: Binding, plan: RescuePlan, lists: Sequence[Iterable[str] | None],
        vector: np.ndarray, wanted: int,
    ) -> list[Candidate]:  # fmt: skip
        """The candidates of all lists, best first; where the table is small or they are empty, of
        the new vectors that are there too."""
        found = [list(keys) for keys in lists if keys is not None]
        if plan.is_small or not any(found):
            new = self._try(find_nearest, binding, plan.key, vector, wanted)
            found += [] if new is None else [new]
        if not found:
            raise DatabaseError("search: neither the full text nor the vectors can be searched")
        return self._read_rows(binding, plan, fuse(found)[:wanted], vector)

    def _keep(
        self, binding: Binding, plan: RescuePlan, asked: Mapping[str, str],
        bought: Mapping[str, np.ndarray],
    ) -> None:  # fmt: skip
        if bought:
            vectors = np.stack(list(bought.values()))
            texts = [asked[key] for key in bought]
            self.filling.offer(binding, plan, Bought(list(bought), texts, vectors))

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
        """Of the database; no connection is held while the model is asked."""
        with translate_errors("search"):
            return ask_again(self._engine, lambda connection: read(connection, *arguments))

    def _read_rows(
        self, binding: Binding, plan: RescuePlan, keys: Sequence[str], vector: np.ndarray | None
    ) -> list[Candidate]:
        if vector is None:
            vector = np.ones(self._embedder.model.dimension, np.float32)
        return self._read(read_candidates, binding, plan, keys, vector, self._columns)


def _map(bridge: Bridge, vector: np.ndarray) -> np.ndarray | None:
    try:
        return bridge.to_old(vector)
    except ModelError as error:
        log.warning("rescue: a question does not pass the bridge: %s", error)
        return None


def _texts(texts: Mapping[str, str | None], keys: Iterable[str]) -> dict[str, str]:
    """Those of `keys` that have one: the others have their vector, or say nothing."""
    found = ((key, texts.get(key)) for key in keys)
    return {key: text for key, text in found if text and not text.isspace()}

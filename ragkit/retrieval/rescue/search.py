"""The rescued search: candidates by full text and the bridge, re-ranked by the new model.

Rows that have their new vector cost nothing; the texts of others are embedded with the question,
and their vectors are kept. Where the model or the time fails, the order of the candidates is
answered, and the answer says so.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from ragkit.embedding.embedder import Embedder
from ragkit.errors import DatabaseError
from ragkit.retrieval.rescue.candidates.bridged import Bridges
from ragkit.retrieval.rescue.candidates.ranking import fuse, rank, to_rank
from ragkit.retrieval.rescue.candidates.source import CANDIDATES, CandidateSource
from ragkit.retrieval.rescue.embedding import Embedded, RememberingModel
from ragkit.retrieval.rescue.filling import Bought, Filling
from ragkit.retrieval.rescue.metering import LiveMeter
from ragkit.retrieval.rescue.plan import RescuePlan
from ragkit.retrieval.space import Binding

NOT_RANKED = "the new model did not rank it"
PARTLY_RANKED = "the new model ranked a part of it"
NO_FULL_TEXT = "the full text search failed"


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
        self._engine, self._columns, self._max_seconds = engine, columns, max_seconds
        self.filling, self._bridges = Filling(engine), Bridges()
        self.meter = LiveMeter(engine)
        self._model = RememberingModel(self.meter.around(embedder))

    def search(
        self, binding: Binding, plan: RescuePlan, old: Binding | None, question: str, limit: int
    ) -> RescuedAnswer:
        """The `limit` best rows, best first; `old` is the column that plan.bridge leads to. Raises
        TextTooLong or DatabaseError."""
        self.meter.function, wanted = plan.take_quota, max(CANDIDATES, limit)
        source = CandidateSource(
            self._engine, self._bridges, binding, plan, old, self._columns, wanted
        )
        words, bridge = source.find_by_words(question), source.find_bridge()
        deadline = time.monotonic() + min(plan.seconds, self._max_seconds)
        known = list(words or {})
        asked = _texts(words or {}, known[: plan.rerank // 2 if bridge else plan.rerank])
        first = self._model.embed(question, asked, deadline)
        if (vector := first.question) is None:
            return _answer_unranked(source, words, limit)
        near = source.find_by_bridge(bridge, vector)
        candidates = source.read([words, near], vector)
        second = Embedded(vector)
        if near:
            # By what the question alone decides, so that the second time all of it is bought.
            chosen = to_rank(known, fuse([known, near]), plan.rerank)
            missing = _texts({c.key: c.text for c in candidates}, chosen)
            more = {key: text for key, text in missing.items() if key not in asked}
            second = self._model.embed(question, more, deadline) if more else second
            asked |= more  # a row's text may have changed since: what was embedded counts
        bought = {**first.rows, **second.rows}
        if bought:
            texts, vectors = [asked[key] for key in bought], np.stack(list(bought.values()))
            self.filling.offer(binding, plan, Bought(list(bought), texts, vectors))
        ranked = rank(candidates, vector, bought, binding)
        lacks = PARTLY_RANKED if asked.keys() - bought.keys() else ""
        return RescuedAnswer(
            [c.shown for c in ranked[:limit]],
            first.paid + second.paid,
            NO_FULL_TEXT if words is None else lacks,
        )


def _answer_unranked(
    source: CandidateSource, words: Mapping[str, object] | None, limit: int
) -> RescuedAnswer:
    if words is None:
        raise DatabaseError("search: neither the full text search nor the model answers")
    shown = source.read_rows(list(words)[:limit], None)
    return RescuedAnswer([c.shown for c in shown], 0, NOT_RANKED)


def _texts(texts: Mapping[str, str | None], keys: Iterable[str]) -> dict[str, str]:
    """Those of `keys` that have one: the others have their vector, or say nothing."""
    found = ((key, texts.get(key)) for key in keys)
    return {key: text for key, text in found if text and not text.isspace()}

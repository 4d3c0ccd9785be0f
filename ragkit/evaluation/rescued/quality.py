"""How good the answers of a rescued service can be: the nDCG@k of the candidates in the best order.
What is not among the candidates, no model can rank. It is known before anything is bought.

Right are the rows that were judged relevant; without judgements a question is a few words of a row,
which is its only right one. Such a question favours full text.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.errors import BadVectors, DatabaseError, DatabaseUnavailable, RowRefused
from ragkit.evaluation.bridge.sample import Fitting
from ragkit.evaluation.metrics.bootstrap import Interval, bootstrap_interval
from ragkit.evaluation.metrics.trec import score_questions
from ragkit.evaluation.questions import QuestionSet
from ragkit.evaluation.samples import vectors_by_key
from ragkit.migration.backfill.model_calls.metering import meter_questions
from ragkit.migration.migration import Migration
from ragkit.retrieval.rescue.candidates.bridge import Bridge
from ragkit.retrieval.rescue.candidates.bridged import find_nearest
from ragkit.retrieval.rescue.candidates.full_text import find_candidates
from ragkit.retrieval.rescue.candidates.ranking import fuse, to_rank
from ragkit.retrieval.rescue.candidates.source import CANDIDATES
from ragkit.retrieval.rescue.plan import RescuePlan

MIN_QUESTIONS = 10
SECONDS = 20.0
"""For the searches of one way; of more than MIN_QUESTIONS, later ones are left out."""
FULL_TEXT, BRIDGE, TOGETHER = "full text", "bridge", "together"


@dataclass(frozen=True)
class Quality:
    """The best nDCG@`k` that the first `depth` candidates can reach, by way: FULL_TEXT, and with a
    bridge BRIDGE and TOGETHER. `is_proxy`: the questions were made from the rows."""

    questions: int
    k: int
    depth: int
    ways: Mapping[str, Interval]
    is_proxy: bool

    @property
    def best(self) -> Interval:
        """That of the candidates as they are served."""
        return self.ways.get(TOGETHER, self.ways[FULL_TEXT])

    @property
    def source(self) -> str:
        """Of the questions, in words."""
        return "questions made from rows" if self.is_proxy else "judged questions"

    def __str__(self) -> str:
        return (
            f"an nDCG@{self.k} of {self.best} at best, with {self.depth} candidates of "
            f"{self.questions} {self.source}"
        )


@dataclass(frozen=True)
class Step:
    """A step of the bridge's sample, and the quality with it; None without questions."""

    fitting: Fitting
    quality: Quality | None


class QualityTrial:
    """The questions' candidates by full text are found once, and their vectors bought once."""

    def __init__(self, migration: Migration, plan: RescuePlan, questions: QuestionSet):
        """Raises DatabaseError."""
        self._migration, self._plan, self._questions = migration, plan, questions
        self._k = migration.plan.evaluation.k
        self._depth = max(plan.rerank, self._k)
        self._words = self._search_words()
        self._vectors: dict[str, np.ndarray] = {}

    def measure(
        self, bridge: Bridge | None = None, embedder: Embedder | None = None
    ) -> Quality | None:
        """None without questions. Those made from rows that have a new vector by now are left out:
        the bridge may be fitted on them. Raises ModelError or DatabaseError."""
        names = self._held_out()
        lists = {FULL_TEXT: {name: self._words[name] for name in names}}
        if bridge and embedder:
            near = _in_time(names, lambda name: self._search_bridge(bridge, embedder, name))
            words = {name: self._words[name] for name in near}
            joined = {n: to_rank(words[n], fuse([words[n], near[n]]), self._depth) for n in near}
            lists = {FULL_TEXT: words, BRIDGE: near, TOGETHER: joined}
        if not names:
            return None
        ways = {way: self._score(ranked) for way, ranked in lists.items()}
        asked, is_proxy = len(lists[FULL_TEXT]), self._questions.is_proxy
        return Quality(asked, self._k, self._depth, ways, is_proxy)

    def _search_words(self) -> dict[str, list[str]]:
        def find(name: str) -> list[str]:
            text, new = self._questions.texts[name], self._migration.new
            return list(self._try(find_candidates, new, self._plan, text, CANDIDATES))

        return _in_time(self._questions.texts, find)

    def _held_out(self) -> list[str]:
        if not self._questions.is_proxy:
            return list(self._words)
        bought = vectors_by_key(self._migration, self._migration.plan.new.column, self._words)
        return [name for name in self._words if name not in bought]

    def _search_bridge(self, bridge: Bridge, embedder: Embedder, name: str) -> list[str]:
        """None of a question that the model or the bridge does not take."""
        try:
            if name not in self._vectors:
                metered = meter_questions(self._migration, embedder)
                self._vectors[name] = metered.embed_query(self._questions.texts[name])
            mapped = bridge.to_old(self._vectors[name])
        except (RowRefused, BadVectors):
            return []
        old = self._migration.old
        return list(self._try(find_nearest, old, self._plan.key, mapped, CANDIDATES))

    def _try(self, search: Callable[..., Iterable[str]], *arguments: object) -> Iterable[str]:
        """A search that takes too long finds nothing: the service goes on without it too."""
        engine = self._migration.engine
        try:
            with translate_errors("searching candidates"), engine.connect() as connection:
                return search(connection, *arguments)
        except DatabaseUnavailable:
            raise
        except DatabaseError:
            return []

    def _score(self, ranked: dict[str, list[str]]) -> Interval:
        qrels = {name: self._questions.qrels[name] for name in ranked}
        best = {
            name: sorted(keys[: self._depth], key=lambda key: -qrels[name].get(key, 0))
            for name, keys in ranked.items()
        }
        scores = score_questions(qrels, best, self._k)[f"nDCG@{self._k}"]
        return bootstrap_interval(scores.to_numpy(), self._migration.plan.evaluation.seed)


def _in_time(names: Iterable[str], find: Callable[[str], list[str]]) -> dict[str, list[str]]:
    end, found = time.monotonic() + SECONDS, dict[str, list[str]]()
    for name in names:
        if len(found) >= MIN_QUESTIONS and time.monotonic() > end:
            break
        found[name] = find(name)
    return found

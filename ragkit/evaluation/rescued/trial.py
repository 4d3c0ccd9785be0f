"""The rescued service is asked some questions, each of them twice: what comes back, how soon, and
what it costs."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ragkit.embedding.embedder import Embedder
from ragkit.errors import SpaceNotReady, TextTooLong
from ragkit.evaluation.metrics.bootstrap import Interval, bootstrap_interval
from ragkit.evaluation.metrics.trec import Rankings, score_questions
from ragkit.evaluation.questions import QuestionSet
from ragkit.migration.migration import LABEL_CHARACTERS, Migration
from ragkit.migration.rescue.service import find_plan
from ragkit.retrieval.rescue.candidates.bridge import Bridge
from ragkit.retrieval.rescue.plan import RescuePlan
from ragkit.retrieval.rescue.search import RescuedAnswer, RescuedSearch

MAPPED = 100
"""Times that a vector is mapped, to tell how long that takes."""


@dataclass(frozen=True)
class Asked:
    """`rows` are the first labels, best first; they took `first_ms`, and `again_ms` the second
    time. `bought` texts were embedded for it; `degraded` says what the answer lacks, "no" for
    nothing, or why there is none."""

    question: str
    rows: str
    bought: int
    first_ms: float
    again_ms: float
    degraded: str


@dataclass(frozen=True)
class Latency:
    """In ms."""

    p50: float
    p95: float

    @classmethod
    def of(cls, times: Sequence[float]) -> "Latency":
        """At least one."""
        return cls(*(round(float(ms), 2) for ms in np.quantile(times, [0.5, 0.95])))


@dataclass(frozen=True)
class Trial:
    """`cold`: the first time a question is asked, `warm`: the second. `quality` is the nDCG@k of
    the first answers to the judged questions; None without judgements. `bought`: texts a
    question, the first time and the second."""

    asked: list[Asked]
    cold: Latency
    warm: Latency
    quality: Interval | None
    bought: tuple[float, float]


def ask_service(migration: Migration, embedder: Embedder, questions: QuestionSet) -> Trial:
    """From this machine, by the search that the function uses; what is bought is written to the
    new column. `questions` are one at least. Raises SpaceNotReady without a rescue, ModelError or
    DatabaseError."""
    if (plan := find_plan(migration)) is None:
        raise SpaceNotReady("the contract has no rescue: start it first (ragkit rescue)")
    names, k = migration.plan.table, migration.plan.evaluation.k
    key = migration.key.name
    shown = [key, names.label or names.content]
    service = RescuedSearch(migration.engine, embedder, shown)
    asked: list[Asked] = []
    rankings: Rankings = {}
    again: list[RescuedAnswer] = []
    for name, text in questions.texts.items():
        first, first_ms = _ask(service, migration, plan, text, k)
        service.filling.wait()
        second, again_ms = _ask(service, migration, plan, text, k)
        labels = [str(row[shown[1]])[:LABEL_CHARACTERS] for row in first.rows[:3]]
        shown_rows, degraded = " · ".join(labels), first.degraded or "no"
        question = text[:LABEL_CHARACTERS]
        asked.append(Asked(question, shown_rows, first.bought, first_ms, again_ms, degraded))
        rankings[name] = [str(row[key]) for row in first.rows]
        again.append(second)
    return Trial(
        asked,
        Latency.of([each.first_ms for each in asked]),
        Latency.of([each.again_ms for each in asked]),
        _score(questions, rankings, k, migration.plan.evaluation.seed),
        (_mean([each.bought for each in asked]), _mean([each.bought for each in again])),
    )


def time_map(bridge: Bridge) -> float:
    """How long the bridge takes for a question, in ms."""
    vector = np.ones(bridge.matrix.shape[0], np.float32)
    times = []
    for _ in range(MAPPED):
        start = time.perf_counter()
        bridge.to_old(vector)
        times.append((time.perf_counter() - start) * 1000)
    return round(float(np.median(times)), 3)


def _ask(
    service: RescuedSearch, migration: Migration, plan: RescuePlan, question: str, k: int
) -> tuple[RescuedAnswer, float]:
    """A question that is too long is answered too: the function says so (400)."""
    start = time.perf_counter()
    try:
        answer = service.search(migration.new, plan, migration.old, question, k)
    except TextTooLong as error:
        answer = RescuedAnswer([], 0, str(error))
    return answer, round((time.perf_counter() - start) * 1000, 2)


def _score(questions: QuestionSet, rankings: Rankings, k: int, seed: int) -> Interval | None:
    judged = {name: questions.qrels[name] for name in rankings if name in questions.qrels}
    if not judged or questions.is_proxy:
        return None
    scores = score_questions(judged, rankings, k)[f"nDCG@{k}"]
    return bootstrap_interval(scores.to_numpy(), seed)


def _mean(counts: Sequence[int]) -> float:
    return round(sum(counts) / len(counts), 2)

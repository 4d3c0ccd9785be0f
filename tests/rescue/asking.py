"""A rescued service that is asked questions: what each answer took, what it cost, and whose time it
was."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ragkit.embedding.embedder import Embedder
from ragkit.evaluation.metrics.trec import score_questions
from ragkit.evaluation.questions import QuestionSet
from ragkit.evaluation.rescued.trial import Latency
from ragkit.migration.migration import Migration
from ragkit.retrieval.rescue.embedding import RememberingModel
from ragkit.retrieval.rescue.plan import RescuePlan
from ragkit.retrieval.rescue.search import RescuedSearch

K, SEED = 10, 1


class TimedModel:
    """The same Embedder; `seconds` passed in it since `reset`, and the texts that it was given."""

    def __init__(self, embedder: Embedder):
        self.model, self._embedder = embedder.model, embedder
        self.reset()

    def reset(self) -> None:
        self.seconds, self.texts = 0.0, list[str]()

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        self.texts += texts
        return self._timed(self._embedder.embed_documents, texts)

    def embed_query(self, text: str) -> np.ndarray:
        return self._timed(self._embedder.embed_query, text)

    def _timed(self, call, argument) -> np.ndarray:
        start = time.perf_counter()
        try:
            return call(argument)
        finally:
            self.seconds += time.perf_counter() - start


class ForgetfulSearch(RescuedSearch):
    """The search of a function that may be made to forget the texts it has embedded."""

    def __init__(self, engine, embedder, columns):
        super().__init__(engine, embedder, columns)
        self._asked = embedder

    def forget(self) -> None:
        self._model = RememberingModel(self.meter.around(self._asked))


@dataclass(frozen=True)
class Asked:
    """`rows` are keys, best first; `ms` of the whole and `model_ms` of it in the model."""

    rows: list[str]
    ms: float
    model_ms: float
    bought: int
    degraded: str


class Asking:
    """Questions to a service, one after the other; what it writes is waited for. A role that may
    not write leaves the column as it is."""

    def __init__(self, migration: Migration, plan: RescuePlan, model: Embedder, engine=None):
        """`engine`: another role's than the migration's."""
        self.migration, self.plan, self.timed = migration, plan, TimedModel(model)
        key = migration.plan.table.key
        self._service = ForgetfulSearch(engine or migration.engine, self.timed, [key])

    def ask(self, question: str, forget: bool = False) -> Asked:
        """`forget`: as a function that has embedded nothing yet."""
        if forget:
            self._service.forget()
        before, start = self.timed.seconds, time.perf_counter()
        binding, old = self.migration.new, self.migration.old
        answer = self._service.search(binding, self.plan, old, question, K)
        seconds = time.perf_counter() - start
        model_seconds = self.timed.seconds - before
        self._service.filling.wait()
        rows = [str(row[self.migration.plan.table.key]) for row in answer.rows]
        return Asked(rows, 1000 * seconds, 1000 * model_seconds, answer.bought, answer.degraded)

    def ask_all(self, texts: Mapping[str, str], forget: bool = False) -> dict[str, Asked]:
        return {name: self.ask(text, forget) for name, text in texts.items()}


def ndcg(questions: QuestionSet, answers: Mapping[str, Sequence[str]]) -> np.ndarray:
    """nDCG@10 of each judged question, of shape (n,), always in the same order."""
    return score_questions(questions.qrels, dict(answers), K)[f"nDCG@{K}"].to_numpy()


def rows_of(answers: Mapping[str, Asked]) -> dict[str, list[str]]:
    return {name: asked.rows for name, asked in answers.items()}


def judged(questions: QuestionSet) -> dict[str, str]:
    """The texts of the questions that have a relevant row."""
    return {name: text for name, text in questions.texts.items() if name in questions.qrels}


def some(questions: QuestionSet, count: int) -> QuestionSet:
    """So many judged ones, the same each time; all where there are fewer."""
    names = np.random.default_rng(SEED).permutation(list(questions.qrels))[:count].tolist()
    texts = {name: questions.texts[name] for name in names}
    return QuestionSet(texts, {name: questions.qrels[name] for name in names})


def cost(asked: Sequence[Asked]) -> dict[str, Any]:
    """Latency in ms, the model's share of the time, and the texts that a request bought."""
    latency = Latency.of([each.ms for each in asked])
    return {
        "requests": len(asked), "p50": latency.p50, "p95": latency.p95,
        "model_share": round(sum(a.model_ms for a in asked) / sum(a.ms for a in asked), 3),
        "bought": mean(asked), "degraded": sum(bool(each.degraded) for each in asked),
    }  # fmt: skip


def mean(asked: Sequence[Asked]) -> float:
    """Texts bought a request."""
    return round(sum(each.bought for each in asked) / len(asked), 3)

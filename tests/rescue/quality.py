"""How good the answers of the sandbox's rescued service are, and how that grows with the column."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ragkit.embedding.embedder import Embedder
from ragkit.evaluation.metrics.bootstrap import bootstrap_interval
from ragkit.evaluation.questions import QuestionSet
from ragkit.evaluation.runs import retrieve
from ragkit.retrieval.rescue.candidates.full_text import find_candidates
from tests.cranfield.test_rescue import Known
from tests.rescue.asking import Asked, Asking, judged, mean, ndcg, rows_of
from tests.rescue.goals import ratio
from tests.rescue.sandbox import Prepared

SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
SEED = 1


def compare(
    questions: QuestionSet, answers: dict[str, Asked], native: np.ndarray
) -> dict[str, Any]:
    """Answers beside the `native` nDCG of the same questions."""
    scores = ndcg(questions, rows_of(answers))
    return {
        "ndcg": mean_interval(scores),
        "ratio": asdict(ratio(scores, native, SEED)),
        "bought_per_request": mean(list(answers.values())),
        "most_bought": max(each.bought for each in answers.values()),
        "degraded": sum(bool(each.degraded) for each in answers.values()),
    }


def mean_interval(values: Iterable[float]) -> dict[str, float]:
    return asdict(bootstrap_interval(np.array(list(values)), SEED))


def measure(prepared: Prepared, questions: QuestionSet, model: Embedder) -> dict[str, Any]:
    """`first`: before each question, only the rows of the bridge's sample have a vector, and the
    function remembers nothing. `traffic`: each question once, and what it buys stays."""
    texts, native = judged(questions), ndcg(questions, prepared.native)
    prepared.fill(prepared.bought)
    reading = Asking(prepared.migration, prepared.plan, model, prepared.reader)
    writing = Asking(prepared.migration, prepared.plan, model)
    return {
        "questions": len(texts),
        "native": mean_interval(native),
        "found_by_words": _found_by_words(prepared, texts),
        "first": compare(questions, reading.ask_all(texts, forget=True), native),
        "traffic": compare(questions, writing.ask_all(texts), native),
    }


def by_coverage(
    prepared: Prepared, questions: QuestionSet, model: Embedder, shares: Sequence[float] = SHARES
) -> list[dict[str, Any]]:
    """With so many rows filled at random: the rescued service, and the native search beside it, as
    of a tool that serves what is there. Texts are not embedded again."""
    migration, native = prepared.migration, ndcg(questions, prepared.native)
    order = np.random.default_rng(SEED).permutation(prepared.keys)
    prepared.fill(prepared.keys)
    known = Known(model, migration)
    reading = Asking(migration, prepared.plan, known, prepared.reader)
    steps = []
    for share in shares:
        prepared.fill([int(key) for key in order[: round(share * len(order))]])
        answers = reading.ask_all(judged(questions), forget=True)
        plain = ndcg(questions, retrieve(migration, migration.new, model, questions).rankings)
        rescued = compare(questions, answers, native)
        half = {"ndcg": mean_interval(plain),
                "ratio": asdict(ratio(plain, native, SEED))}  # fmt: skip
        steps.append({"coverage": share, "rescued": rescued, "native": half})
    return steps


def _found_by_words(prepared: Prepared, texts: Mapping[str, str]) -> float:
    """The share of the rows of the native answers that the full text search can find."""
    migration, found, wanted = prepared.migration, 0, 0
    with migration.engine.connect() as connection:
        for name, text in texts.items():
            limit = len(prepared.keys)
            keys = find_candidates(connection, migration.new, prepared.plan, text, limit)
            found += len({*keys} & {*prepared.native[name]})
            wanted += len(prepared.native[name])
    return round(found / wanted, 3)

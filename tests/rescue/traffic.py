"""Latency and cost of the sandbox's questions: cold, and after traffic.

Traffic is drawn with repetition: the n-th most frequent of the questions is asked in proportion to
1/n (Zipf 1949), which question that is by a permutation.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ragkit.embedding.embedder import Embedder
from tests.rescue.asking import Asked, Asking, cost, mean
from tests.rescue.sandbox import Prepared

RERANKS, SEED = (0, 20, 50, 100), 1
LAW = "1/n, the order of the questions by a permutation"


def draw(questions: Sequence[str], count: int, seed: int) -> list[str]:
    """By the law above; the permutation is always the same."""
    shuffled = np.random.default_rng(SEED).permutation(len(questions))
    weights = 1 / np.arange(1, len(questions) + 1)
    chosen = np.random.default_rng(seed).choice(shuffled, count, p=weights / weights.sum())
    return [questions[place] for place in chosen]


def measure(
    prepared: Prepared, questions: Mapping[str, str], model: Embedder, states: Sequence[int],
    sample: int,
) -> dict[str, Any]:  # fmt: skip
    """By rescue.rerank: `sample` questions as they are asked next, in each of the states: 0 for a
    column without one vector, else after so many questions."""
    texts = list(questions.values())
    stream, next_ones = draw(texts, max(states), SEED + 1), draw(texts, sample, SEED + 2)
    return {
        "law": LAW, "seed": SEED, "distinct_questions": len(texts),
        "by_rerank": {
            str(rerank): dict(_by_state(prepared, rerank, stream, next_ones, states, model))
            for rerank in RERANKS
        },
    }  # fmt: skip


def _by_state(
    prepared: Prepared, rerank: int, stream: Sequence[str], next_ones: Sequence[str],
    states: Sequence[int], model: Embedder,
) -> Iterator[tuple[str, Any]]:  # fmt: skip
    plan = replace(prepared.plan, rerank=rerank)
    reading = Asking(prepared.migration, plan, model, prepared.reader)
    writing = Asking(prepared.migration, plan, model)
    prepared.fill([])
    reading.ask(stream[0])  # a function that has answered before has the bridge
    asked: list[Asked] = []
    for state in states:
        asked += [writing.ask(text) for text in stream[len(asked) : state]]
        reading.timed.reset()
        answers = [reading.ask(text, forget=True) for text in next_ones]
        figures = cost(answers) | {"filled": _filled(prepared)}
        figures["tokens"] = _tokens(model, reading.timed.texts) / len(answers)
        yield (f"after {state:,}" if state else "cold"), figures
    yield "bought_per_request", mean(asked)


def _tokens(model: Embedder, texts: Sequence[str]) -> int:
    """Of what was bought, by the model's own tokenizer."""
    return sum(len(model.token_spans(text)) for text in texts)


def _filled(prepared: Prepared) -> int:
    migration = prepared.migration
    column = migration.plan.new.column
    with migration.engine.connect() as connection:
        query = f"select count({column}) from amenities"
        return connection.exec_driver_sql(query).scalar()

"""Known-item questions made from the rows: a proxy when there are no judgements.

A question is a few distinctive words of a row, and that row is its only correct answer. It tests
whether a model finds a row by the row's own words. Users ask in other words, and such questions
favour a lexical model over a semantic one: no verdict rests on them.
"""

from collections import Counter
from math import log

import numpy as np

from ragkit.errors import SpaceNotReady
from ragkit.evaluation.facets import words
from ragkit.evaluation.questions import QuestionSet
from ragkit.evaluation.samples import sample_texts
from ragkit.migration.migration import Migration

MAX_KNOWN_ITEMS = 300
MIN_WORDS, MAX_WORDS = 3, 6
"""Words of a question."""


def make_known_items(migration: Migration) -> QuestionSet:
    """At most MAX_KNOWN_ITEMS questions, the same ones each time.

    Raises SpaceNotReady when no text has MIN_WORDS distinct words, and DatabaseError.
    """
    questions = draw_questions(sample_texts(migration), migration.plan.evaluation.seed)
    if not questions:
        raise SpaceNotReady(
            f"known items need rows with at least {MIN_WORDS} different words: "
            f"{migration.plan.table.qualified_name} has none"
        )
    texts = {f"known-{row}": question for row, question in questions.items()}
    qrels = {f"known-{row}": {row: 1} for row in questions}
    return QuestionSet(texts, qrels, is_proxy=True)


def draw_questions(rows: dict[str, str], seed: int) -> dict[str, str]:
    """A question for each of at most MAX_KNOWN_ITEMS rows; `rows` are texts by key.

    Words are drawn by tf-idf and stay in the order of the text (Azzopardi and de Rijke 2006,
    "Automatic construction of known-item finding test beds").
    """
    row_words = {row: words(text) for row, text in rows.items()}
    row_counts = Counter(word for text_words in row_words.values() for word in set(text_words))
    rng = np.random.default_rng(seed)
    candidates = [row for row, text_words in row_words.items() if len(set(text_words)) >= MIN_WORDS]
    if not candidates:
        return {}
    drawn_rows = [str(row) for row in rng.permutation(candidates)[:MAX_KNOWN_ITEMS]]
    return {row: _draw_words(row_words[row], row_counts, len(rows), rng) for row in drawn_rows}


def _draw_words(
    text_words: list[str], row_counts: Counter[str], rows: int, rng: np.random.Generator
) -> str:
    """`row_counts` is the number of rows that have a word, out of `rows`."""
    counts = Counter(text_words)
    distinct_words = list(counts)
    weights = np.array([counts[w] * log(1 + rows / row_counts[w]) for w in distinct_words])
    size = min(int(rng.integers(MIN_WORDS, MAX_WORDS + 1)), len(distinct_words))
    drawn_words = set(rng.choice(distinct_words, size, replace=False, p=weights / weights.sum()))
    return " ".join(word for word in distinct_words if word in drawn_words)

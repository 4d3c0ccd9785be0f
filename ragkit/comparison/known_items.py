"""Known-item questions made from the rows themselves: a proxy where nobody judged anything.

A question is a few of a row's telling words, and that row is its one right answer. It shows
whether a model finds a row by its own words. People ask in other words, and a model that goes by
meaning gains less from such questions than one that goes by words: no verdict rests on them.
"""

from collections import Counter
from math import log

import numpy as np

from ragkit.comparison.questions import Judged
from ragkit.comparison.traits import words
from ragkit.comparison.vectors import distinct_rows
from ragkit.errors import SpaceNotReady
from ragkit.migration.subject import Migration

QUESTIONS = 300
WORDS = 3, 6
"""Fewest and most words of a question."""


def known_items(migration: Migration) -> Judged:
    """At most QUESTIONS, the same ones each time. Raises SpaceNotReady for a table in which no
    text has enough words."""
    rows = distinct_rows(migration)
    made = make(rows, migration.plan.seed)
    if not made:
        raise SpaceNotReady(f"no row of {migration.plan.qualified} has {WORDS[0]} words or more")
    texts = {f"known-{row}": text for row, text in made.items()}
    return Judged(texts, {f"known-{row}": {row: 1} for row in made}, proxy=True)


def make(rows: dict[str, str], seed: int) -> dict[str, str]:
    """A question by row: words drawn by tf-idf, in the order of the text, as Azzopardi and de
    Rijke's "Automatic construction of known-item finding test beds" (2006) draw them."""
    split = {row: words(text) for row, text in rows.items()}
    having = Counter(word for found in split.values() for word in set(found))
    rng = np.random.default_rng(seed)
    long_enough = [row for row, found in split.items() if len(set(found)) >= WORDS[0]]
    chosen = rng.permutation(long_enough)[:QUESTIONS] if long_enough else []
    return {str(row): _question(split[row], having, len(rows), rng) for row in chosen}


def _question(found: list[str], having: Counter, rows: int, rng: np.random.Generator) -> str:
    counts = Counter(found)
    names = list(counts)
    weights = np.array([counts[word] * log(1 + rows / having[word]) for word in names])
    size = min(int(rng.integers(WORDS[0], WORDS[1] + 1)), len(names))
    drawn = set(rng.choice(names, size, replace=False, p=weights / weights.sum()))
    return " ".join(word for word in names if word in drawn)

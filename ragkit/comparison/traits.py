"""Traits of questions by which a comparison is sliced: category, length, language, rare words."""

import re
from collections import Counter
from collections.abc import Iterable

import sqlalchemy as sa

from ragkit.comparison.questions import Judged
from ragkit.comparison.vectors import distinct_rows
from ragkit.database import plain_errors
from ragkit.migration.subject import Migration

RARE = 0.01
"""A word is rare when at most this share of the rows has it."""
SURE = 0.9
"""Below this probability a language is "unclear": most questions are a few words."""
UNCLEAR = {"und": "unclear", "zxx": "unclear"}
_WORD = re.compile(r"\w+")

Traits = dict[str, dict[str, str]]
"""For each kind of slice, the slice of each question."""


def traits(migration: Migration, judged: Judged) -> Traits:
    return {
        "category": _categories(migration, judged),
        "length": {q: _length(text) for q, text in judged.texts.items()},
        "language": _languages(judged.texts),
        "words": rarity(judged.texts, distinct_rows(migration).values()),
    }


def _categories(migration: Migration, judged: Judged) -> dict[str, str]:
    """The category of the row that answers each question best; {} when the plan names none."""
    plan, qrels = migration.plan, judged.qrels
    if not plan.category:
        return {}
    best = {q: max(sorted(rows), key=rows.__getitem__) for q, rows in qrels.items()}
    as_text, column = sa.cast(migration.key, sa.Text), sa.column(plan.category)
    query = sa.select(as_text, sa.cast(column, sa.Text)).select_from(migration.table)
    with plain_errors("reading categories"), migration.engine.connect() as connection:
        rows = connection.execute(query.where(as_text.in_(sorted(set(best.values()))))).all()
    of_row = {key: name for key, name in rows if name}
    return {q: of_row[row] for q, row in best.items() if row in of_row}


def _length(text: str) -> str:
    words = len(_WORD.findall(text))
    return "1-2 words" if words < 3 else "3-5 words" if words < 6 else "6 words and more"


def _languages(texts: dict[str, str]) -> dict[str, str]:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # loads 95 MB

    identifier = LanguageIdentifier.from_model_file(
        MODEL_FILE, norm_probs=True, min_confidence=SURE
    )
    found = {q: identifier.classify(text)[0] for q, text in texts.items()}
    return {q: UNCLEAR.get(code, code) for q, code in found.items()}


def rarity(questions: dict[str, str], rows: Iterable[str]) -> dict[str, str]:
    """By the rarest word of each question: how many rows have it?"""
    rows = [set(words(text)) for text in rows]
    having = Counter(word for row in rows for word in row)
    most = max(1.0, RARE * len(rows))

    def rarest(text: str) -> str:
        fewest = min((having[word] for word in words(text)), default=0)
        return "one in no row" if not fewest else "a rare one" if fewest <= most else "common ones"

    return {q: rarest(text) for q, text in questions.items()}


def words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]

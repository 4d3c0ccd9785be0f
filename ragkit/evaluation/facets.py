"""Facets of questions, by which a comparison is sliced: category, length, language, rare words."""

import re
from collections import Counter
from collections.abc import Iterable

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.evaluation.questions import QuestionSet
from ragkit.evaluation.samples import sample_texts
from ragkit.migration.migration import Migration

MAX_RARE_SHARE = 0.01
"""A word is rare when at most this share of the rows has it."""
MIN_LANGUAGE_PROBABILITY = 0.9
"""Below it a language is unclear: most questions are a few words."""
_UNCLEAR = {"und", "zxx"}
_WORD = re.compile(r"\w+")

Facets = dict[str, dict[str, str]]
"""For each kind of slice, the slice of each question; a question may have none."""


def question_facets(migration: Migration, questions: QuestionSet) -> Facets:
    """The kinds "category", "length", "language" and "words". Raises DatabaseError."""
    return {
        "category": _categories(migration, questions),
        "length": {question: _length(text) for question, text in questions.texts.items()},
        "language": _languages(questions.texts),
        "words": word_rarity(questions.texts, sample_texts(migration).values()),
    }


def word_rarity(questions: dict[str, str], texts: Iterable[str]) -> dict[str, str]:
    """By question, how many of the texts have its rarest word."""
    text_words = [set(words(text)) for text in texts]
    frequency = Counter(word for unique_words in text_words for word in unique_words)
    max_rare = max(1.0, MAX_RARE_SHARE * len(text_words))

    def rarity(question: str) -> str:
        lowest = min((frequency[word] for word in words(question)), default=0)
        if lowest == 0:
            return "one in no row"
        return "a rare one" if lowest <= max_rare else "common ones"

    return {question: rarity(text) for question, text in questions.items()}


def words(text: str) -> list[str]:
    """The words of a text, case-folded, in order."""
    return [word.casefold() for word in _WORD.findall(text)]


def _categories(migration: Migration, questions: QuestionSet) -> dict[str, str]:
    """The category of each question's best row; {} when the plan names no category column."""
    column = migration.plan.table.category
    if not column:
        return {}
    best_rows = {
        question: max(sorted(grades), key=grades.__getitem__)
        for question, grades in questions.qrels.items()
    }
    key, category = migration.key_text, sa.cast(migration.table.c[column], sa.Text)
    query = migration.select(key, category).where(key.in_(sorted(set(best_rows.values()))))
    with translate_errors("reading categories"), migration.engine.connect() as connection:
        categories = {row: name for row, name in connection.execute(query) if name}
    return {question: categories[row] for question, row in best_rows.items() if row in categories}


def _length(text: str) -> str:
    count = len(_WORD.findall(text))
    if count < 3:
        return "1-2 words"
    return "3-5 words" if count < 6 else "6 words and more"


def _languages(texts: dict[str, str]) -> dict[str, str]:
    """The ISO 639-1 code of each text's language, where it is clear."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # takes 95 MB of memory

    identifier = LanguageIdentifier.from_model_file(
        MODEL_FILE, norm_probs=True, min_confidence=MIN_LANGUAGE_PROBABILITY
    )
    codes = {question: identifier.classify(text)[0] for question, text in texts.items()}
    return {question: code for question, code in codes.items() if code not in _UNCLEAR}

"""The questions that tell two models apart by the rows that they find."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.embedding.embedder import PROBE_TEXT, Embedder
from ragkit.errors import ConfigError, ModelError
from ragkit.migration import phases
from ragkit.migration.migration import Migration
from ragkit.migration.serving.matching import likeness, shared
from ragkit.retrieval.search import nearest_values
from ragkit.retrieval.space import Binding

QUESTIONS, ROWS = 8, 40
"""Questions that are chosen, and rows of the table from which they are made."""
MAX_CHARACTERS = 500
"""Of a row's text as a question."""
DIFFERENT = 0.5
"""Lists that are less alike than this make a good question."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Side:
    """A model and its column; `embedder` is None when the model cannot be called."""

    model: str
    binding: Binding
    column: sa.ColumnElement[np.ndarray]
    embedder: Embedder | None


@dataclass(frozen=True)
class Question:
    """`vectors`: one by each model, of shape (dimension,)."""

    text: str
    vectors: dict[str, np.ndarray]


Load = Callable[[], Embedder]


def open_sides(migration: Migration, old: Load, new: Load) -> list[Side]:
    """Those that have a column now. Raises DatabaseError."""
    plan, phase, sides = migration.plan, migration.phase(), []
    if phase != phases.RETIRED:
        embedder = _callable(plan.old.model, old)
        sides.append(Side(plan.old.model, migration.old, migration.old_vector, embedder))
    if phase != phases.PLANNED:
        embedder = _callable(plan.new.model, new)
        sides.append(Side(plan.new.model, migration.new, migration.new_vector, embedder))
    return sides


def choose_questions(
    connection: sa.Connection, migration: Migration, sides: Sequence[Side], size: int
) -> list[Question]:
    """At most QUESTIONS, whose first `size` rows differ most between the sides."""
    weighed: list[tuple[float, Question]] = []
    for question in candidates(connection, migration, sides):
        ours, *others = (expected_rows(connection, migration, s, question, size) for s in sides)
        alike = sum(likeness(ours, rows) + shared(ours, rows, size) for rows in others) / 2
        weighed.append((alike, question))
        if sum(alike < DIFFERENT for alike, _ in weighed) >= QUESTIONS:
            break
    weighed.sort(key=lambda pair: pair[0])
    return [question for _, question in weighed[:QUESTIONS]]


def candidates(
    connection: sa.Connection, migration: Migration, sides: Sequence[Side]
) -> Iterator[Question]:
    """The same ones each time. Labels of rows, and pairs of them, of which each model prefers one;
    where a model cannot be called, the texts of rows, whose vectors are stored."""
    if any(side.embedder is None for side in sides):
        yield from _stored(connection, migration, sides)
        return
    label = migration.label
    query = migration.sample(label, limit=ROWS).where(label.is_not(None))
    labels = [text for text in connection.scalars(query) if text.strip()]
    texts = [
        text
        for number, label_text in enumerate(labels)
        for text in (label_text, f"{labels[number - 1]} {label_text}")[: 1 + number % 2]
    ]
    for text in dict.fromkeys(texts):
        yield Question(text, {s.model: s.embedder.embed_query(text) for s in sides if s.embedder})


def expected_rows(
    connection: sa.Connection, migration: Migration, side: Side, question: Question, size: int
) -> list[str]:
    """What identifies the nearest `size` rows: a text, so that equal rows are one and the same."""
    shown, vector = [shown_text(migration, "r")], question.vectors[side.model]
    rows = nearest_values(connection, side.binding, vector, shown, size)
    return [squeeze(text) for [text] in rows]


def shown_text(migration: Migration, row: str) -> str:
    """The text by which rows are compared, as SQL; keys are compared by their rows' texts."""
    plan = migration.plan
    if plan.check.matches == "label":
        return f"{row}.{quote_identifier(plan.table.label)}"
    return migration.terms.content.of(row)


def squeeze(text: object) -> str:
    """Without surplus white space, as the app's texts are read."""
    return " ".join(str(text).split())


def _stored(
    connection: sa.Connection, migration: Migration, sides: Sequence[Side]
) -> Iterator[Question]:
    columns = [side.column for side in sides]
    query = migration.sample(migration.content, *columns, limit=ROWS)
    query = query.where(sa.func.length(migration.content).between(1, MAX_CHARACTERS))
    query = query.where(*(column.is_not(None) for column in columns))
    for text, *vectors in connection.execute(query).all():
        yield Question(
            text,
            {
                side.model: side.embedder.embed_query(text) if side.embedder else np.array(vector)
                for side, vector in zip(sides, vectors, strict=True)
            },
        )


def _callable(model: str, load: Load) -> Embedder | None:
    try:
        embedder = load()
        embedder.embed_query(PROBE_TEXT)
    except (ConfigError, ModelError) as error:
        log.warning("%s cannot be called: %s", model, error)
        return None
    return embedder

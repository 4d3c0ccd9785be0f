"""Tells by an app's answers which model serves: are they the old column's rows or the new one's?

A few questions whose nearest rows differ most between the two are put to the app. What it answers
is compared with what both columns hold now, so that no app must say anything about itself.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.deploy.own_app.asked import Ask
from ragkit.embedding.embedder import PROBE_TEXT, Embedder
from ragkit.errors import AppNotRecognised, ModelError
from ragkit.migration import phases
from ragkit.migration.migration import Migration
from ragkit.migration.serving.matching import Answers, decide, likeness
from ragkit.retrieval.search import nearest
from ragkit.retrieval.space import Binding

QUESTIONS, CANDIDATES, DEPTH = 8, 40, 10
"""Questions that are put to the app, those of which they are the best, and rows of an answer that
are looked at."""
DIFFERENT = 0.5
"""Lists that are less alike than this make a good question."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Side:
    """A model that can be called, and its column."""

    model: str
    binding: Binding
    embedder: Embedder


@dataclass(frozen=True)
class _Question:
    """`vectors`: one by each model, of shape (dimension,)."""

    text: str
    vectors: dict[str, np.ndarray]


@dataclass
class Recogniser:
    """A Recognise of ragkit.deploy.own_app.asked. `old` and `new` load the two models when they
    are first needed; questions are chosen once in each phase."""

    migration: Migration
    old: Callable[[], Embedder]
    new: Callable[[], Embedder]
    _chosen: dict[str, tuple[list[_Side], list[_Question]]] = field(default_factory=dict)

    def __call__(self, ask: Ask) -> str:
        """The model that serves. Raises AppNotRecognised or DatabaseError."""
        phase = self.migration.phase()
        with translate_errors("choosing questions to the app"):
            if phase not in self._chosen:
                self._chosen[phase] = self._choose(phase)
        sides, questions = self._chosen[phase]
        answers = [ask(question.text)[:DEPTH] for question in questions]
        if sum(map(bool, answers)) * 2 <= len(answers):
            empty = len(answers) - sum(map(bool, answers))
            raise AppNotRecognised(
                f"the app answered no row to {empty} of {len(answers)} questions: see its log, "
                "and check.body"
            )
        with translate_errors("comparing the app's answers"):
            scores = self._scores(sides, questions, answers)
        plan = self.migration.plan
        return decide(scores, (plan.old.model, plan.new.model))

    def _choose(self, phase: str) -> tuple[list[_Side], list[_Question]]:
        sides = list(self._sides(phase))
        if not sides:
            raise AppNotRecognised("neither model can be called: no answer of the app tells either")
        candidates: list[tuple[float, _Question]] = []
        with self.migration.engine.connect() as connection:
            for text in self._labels(connection):
                vectors = {side.model: side.embedder.embed_query(text) for side in sides}
                question = _Question(text, vectors)
                lists = [self._expected(connection, side, question) for side in sides]
                candidates.append((likeness(*lists) if len(lists) > 1 else 0.0, question))
                if sum(alike < DIFFERENT for alike, _ in candidates) >= QUESTIONS:
                    break
        candidates.sort(key=lambda pair: pair[0])
        if not candidates:
            raise AppNotRecognised("the table has no row to ask the app for")
        if candidates[0][0] == 1.0:
            raise AppNotRecognised("both columns answer the same rows: no answer tells the model")
        return sides, [question for _, question in candidates[:QUESTIONS]]

    def _sides(self, phase: str) -> list[_Side]:
        """What has a column in this phase, and a model that answers."""
        sides, plan = [], self.migration.plan
        for section, load, without in (
            (plan.old, self.old, phases.RETIRED), (plan.new, self.new, phases.PLANNED),
        ):  # fmt: skip
            if phase == without:
                continue
            try:
                embedder = load()
                embedder.embed_query(PROBE_TEXT)
                binding = self.migration.old if section is plan.old else self.migration.new
            except ModelError as error:
                log.warning("%s cannot be called: %s", section.model, error)
                continue
            sides.append(_Side(section.model, binding, embedder))
        return sides

    def _labels(self, connection: sa.Connection) -> list[str]:
        label = self.migration.label
        query = self.migration.sample(label, limit=CANDIDATES).where(label.is_not(None))
        return list(dict.fromkeys(text for text in connection.scalars(query) if text.strip()))

    def _expected(self, connection: sa.Connection, side: _Side, question: _Question) -> list[str]:
        """What identifies the nearest rows, as a text; equal texts are one and the same."""
        shown = self._shown
        vector = question.vectors[side.model]
        rows = nearest(connection, side.binding, vector, [shown], DEPTH)
        return [squeeze(row[shown]) for row in rows]

    def _scores(
        self, sides: Sequence[_Side], questions: Sequence[_Question], answers: list[list[str]]
    ) -> Answers:
        with self.migration.engine.connect() as connection:
            texts = self._texts(connection, answers)
            return [
                (answer, {s.model: self._expected(connection, s, question) for s in sides})
                for question, answer in zip(questions, texts, strict=True)
                if answer
            ]

    @property
    def _shown(self) -> str:
        """The column whose texts are compared: keys are compared by their rows' texts, so that
        it does not matter which of several equal rows the app found."""
        plan = self.migration.plan
        return plan.table.label if plan.check.matches == "label" else plan.table.content

    def _texts(self, connection: sa.Connection, answers: list[list[str]]) -> list[list[str]]:
        if self.migration.plan.check.matches != "key":
            return answers
        key, content = self.migration.key_text, self.migration.content
        keys = {key for answer in answers for key in answer}
        rows = connection.execute(self.migration.select(key, content).where(key.in_(keys)))
        texts = {key: squeeze(text) for key, text in rows}
        return [[texts.get(key, f"no row has the key {key}") for key in a] for a in answers]


def squeeze(text: object) -> str:
    """Without surplus white space, as the app's texts are read."""
    return " ".join(str(text).split())

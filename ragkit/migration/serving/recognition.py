"""Tells by an app's answers which model serves: are they the old column's rows or the new one's?

A few questions whose nearest rows differ most between the two are put to the app. What it answers
is compared with what both columns hold now, so that no app must say anything about itself.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.deploy.own_app.asked import Ask
from ragkit.errors import AppNotRecognised
from ragkit.migration.migration import Migration
from ragkit.migration.serving.matching import Answers, decide
from ragkit.migration.serving.questions import (
    Load,
    Question,
    Side,
    candidates,
    choose_questions,
    expected_rows,
    open_sides,
    squeeze,
)

MAX_ROWS = 50
"""Of an answer that are looked at."""
FIRST = 3
"""Questions of which one must be answered, to see how many rows the app shows."""


@dataclass
class Recogniser:
    """A Recognise of ragkit.deploy.own_app.asked. `old` and `new` load the two models when they
    are first needed; questions are chosen once in each phase and for each length of answers."""

    migration: Migration
    old: Load
    new: Load
    _sides: dict[str, list[Side]] = field(default_factory=dict)
    _chosen: dict[tuple[str, int], list[Question]] = field(default_factory=dict)

    def __call__(self, ask: Ask) -> str:
        """The model that serves. Raises AppNotRecognised or DatabaseError."""
        # a swap gives the columns other names
        phase = f"{self.migration.phase()}, {self.migration.plan.new.column}"
        if phase not in self._sides:
            self._sides[phase] = open_sides(self.migration, self.old, self.new)
        sides = self._sides[phase]
        with translate_errors("choosing questions to the app"):
            size = self._answer_size(sides, ask)
            if (phase, size) not in self._chosen:
                with self.migration.engine.connect() as connection:
                    questions = choose_questions(connection, self.migration, sides, size)
                self._chosen[phase, size] = questions
        questions = self._chosen[phase, size]
        answers = [ask(question.text)[:MAX_ROWS] for question in questions]
        empty = sum(not answer for answer in answers)
        if empty * 2 >= len(answers):
            raise _no_rows(empty, len(answers))
        with translate_errors("comparing the app's answers"):
            compared = self._compare(sides, questions, answers)
        plan = self.migration.plan
        return decide(compared, (plan.old.model, plan.new.model))

    def _answer_size(self, sides: Sequence[Side], ask: Ask) -> int:
        with self.migration.engine.connect() as connection:
            found = candidates(connection, self.migration, sides)
            questions = list(itertools.islice(found, FIRST))
        if not questions:
            raise AppNotRecognised("the table has no row to ask the app for")
        sizes = (len(ask(question.text)[:MAX_ROWS]) for question in questions)
        size = next(filter(None, sizes), 0)
        if not size:
            raise _no_rows(len(questions), len(questions))
        return size

    def _compare(
        self, sides: Sequence[Side], questions: Sequence[Question], answers: list[list[str]]
    ) -> Answers:
        """Without the row that a question was made of, which every model finds first: an app that
        shows few rows would be known by little else."""
        are_stored = any(side.embedder is None for side in sides)
        compared = []
        with self.migration.engine.connect() as connection:
            texts = self._texts(connection, answers)
            for question, answer in zip(questions, texts, strict=True):
                own = squeeze(question.text) if are_stored else None
                rows = [text for text in answer if text != own]
                if not rows:
                    continue
                expected = {}
                for side in sides:
                    found = expected_rows(
                        connection, self.migration, side, question, len(answer) + 1
                    )
                    expected[side.model] = [text for text in found if text != own][: len(rows)]
                compared.append((rows, expected))
        return compared

    def _texts(self, connection: sa.Connection, answers: list[list[str]]) -> list[list[str]]:
        """Keys as their rows' texts: it does not matter which of several equal rows was found."""
        if self.migration.plan.check.matches != "key":
            return answers
        key, content = self.migration.key_text, self.migration.content
        keys = {key for answer in answers for key in answer}
        rows = connection.execute(self.migration.select(key, content).where(key.in_(keys)))
        texts = {key: squeeze(text) for key, text in rows}
        return [[texts.get(key, f"no row has the key {key}") for key in a] for a in answers]


def _no_rows(empty: int, asked: int) -> AppNotRecognised:
    return AppNotRecognised(
        f"the app answered no row to {empty} of {asked} questions: see its log, and check.body"
    )

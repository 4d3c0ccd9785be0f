"""One judge's session: the next question, an answer, a step back, and what it all shows so far.

A front end sends {"turn": …, "answer": …}, {"undo": true}, {"add": "questions, one a line"} or {},
and shows the state that it gets. Everything is read from the journal, so a session goes on where an
earlier one was, beside those of others.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ragkit.errors import ConfigError, RagkitError
from ragkit.evaluation.judging import chance
from ragkit.evaluation.judging.lists import Ahead, Row
from ragkit.evaluation.judging.questions import Questions, typed_lines
from ragkit.evaluation.judging.record.export import Files, export
from ragkit.evaluation.judging.record.journal import append, read_journal
from ragkit.evaluation.judging.record.lines import Line, Relevance, Scope, Typed, Undo
from ragkit.evaluation.judging.record.standing import select, typed_texts
from ragkit.evaluation.judging.turn import Turn
from ragkit.evaluation.judging.view import Settings, View

AHEAD = 3
"""Questions whose lists are made while a judge looks at one."""
PASS_SECONDS = 10.0
"""For passing over questions that nobody needs to be asked, before the judge hears of it."""
MAX_TYPED, MAX_CHARACTERS = 500, 2000
"""Questions at once, and characters of one."""
NOTHING = Row("", "", "")
"""In the place of a row where no list has one."""


@dataclass
class Session:
    """`gone`: rows that were judged before and that the table has no more."""

    scope: Scope
    settings: Settings
    questions: Questions
    lists: Ahead
    gone: frozenset[str] = frozenset()
    _turn: Turn | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def files(self) -> Files:
        return Files.of(self.settings.folder, self.scope)

    def handle(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Does what the message says, if anything, and answers the state; an error of ours is in
        it. "busy" says that the front end should ask again: many questions are passed over, or
        another window is answered."""
        if not self._lock.acquire(timeout=PASS_SECONDS):
            return {"busy": True, "error": ""}
        try:
            self._do(message)
            self._turn = self._turn or self._next_turn()
            return self.view().state(self._turn)
        except TimeoutError:
            return {**self.view().state(None), "busy": True}
        except RagkitError as error:
            return {"busy": False, "error": str(error)}
        finally:
            self._lock.release()

    def view(self) -> View:
        """As it is now. Raises ConfigError."""
        journal = read_journal(self.settings.folder)
        texts = self.questions.with_typed(typed_texts(journal, self.scope))
        return View(self.settings, texts, select(journal, [self.scope], self.gone))

    def _do(self, message: Mapping[str, Any]) -> None:
        match message:
            case {"answer": str(answer), "turn": str(turn)}:
                # a second key press, or another window, was for a question that is answered
                if self._turn is not None and turn == self._turn.id:
                    self._keep(self._turn.line(answer))
            case {"undo": True}:
                self._take_back()
            case {"add": str(text)}:
                self._add(text)
            case _ if message:
                raise ConfigError(f"expected an answer, undo or add, got {', '.join(message)}")

    def _keep(self, *lines: Line) -> None:
        self._turn = None
        if lines:
            append(self.settings.folder, *lines)
        export(self.view().judgements, self.files)

    def _take_back(self) -> None:
        if asked := self.view().asked:
            row = asked[-1].row if isinstance(asked[-1], Relevance) else None
            self._keep(Undo(**self._signature(), question=asked[-1].question, row=row))

    def _add(self, text: str) -> None:
        if self.questions.closed:
            raise ConfigError(
                "the old model's lists are those of evaluation.old_run: judge its questions, or "
                "add others to that file"
            )
        texts = typed_lines(text)
        if len(texts) > MAX_TYPED or any(len(each) > MAX_CHARACTERS for each in texts):
            raise ConfigError(
                f"expected up to {MAX_TYPED} questions of up to {MAX_CHARACTERS:,} characters"
            )
        self._keep(*(Typed(**self._signature(), text=each) for each in texts))

    def _signature(self) -> dict[str, Any]:
        return {**self.scope.model_dump(), "at": datetime.now(UTC), "judge": self.settings.judge}

    def _next_turn(self) -> Turn | None:
        """Passes over what needs no answer, and keeps that it did. Raises TimeoutError when that
        takes long."""
        passed: list[Line] = []
        try:
            return self._pass_over(passed)
        finally:
            if passed:
                self._keep(*passed)

    def _pass_over(self, passed: list[Line]) -> Turn | None:
        deadline, view, settings = time.monotonic() + PASS_SECONDS, self.view(), self.settings
        order = list(view.open.items())
        for place, (question, text) in enumerate(order):
            self.lists.prepare(dict(order[place : place + 1 + AHEAD]))
            lists = self.lists.take(question, text)
            turn = Turn(self.scope, settings.judge, settings.seed, question, text, lists)
            if not settings.pooled:
                if not lists.are_same:
                    return turn
                passed.append(turn.line("equal", asked=False))
            elif not lists.pool:
                passed.append(replace(turn, row=NOTHING).line("not", asked=False))
            elif with_row := _open_row(turn, view):
                return with_row
            if time.monotonic() > deadline:
                raise TimeoutError
        return None


def _open_row(turn: Turn, view: View) -> Turn | None:
    """For the first row that this judge has not judged."""
    own = {a.row for a in view.asked if isinstance(a, Relevance) and a.question == turn.question}
    rows = chance.shuffled(turn.lists.pool, turn.question, turn.seed, turn.judge)
    return next((replace(turn, row=row) for row in rows if row.key not in own), None)

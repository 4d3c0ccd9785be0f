"""Sessions over six rows of a real table, with lists that a test may choose."""

import pytest

from ragkit.evaluation.judging.lists import Ahead, make_lists
from ragkit.evaluation.judging.questions import Questions
from ragkit.evaluation.judging.record.lines import Scope
from ragkit.evaluation.judging.session import Session
from ragkit.evaluation.judging.view import Settings

OLD_ROWS, NEW_ROWS = ["1", "2", "3"], ["4", "2", "5"]


class Bench:
    """Makes sessions of one table and folder. `old` and `new` answer a question's rows."""

    def __init__(self, migration, folder):
        self.migration, self.folder, self.opened = migration, folder, []

    def session(self, judge="ana", questions=12, old=lambda q: OLD_ROWS, new=lambda q: NEW_ROWS,
                **changes):  # fmt: skip
        texts = {f"q{n}": f"question {n}" for n in range(questions)}
        settings = {"pooled": False, "rows": 3, "seed": 1, "margin": 0.1, "floor": 0.3} | changes
        gone = settings.pop("gone", frozenset())
        lists = make_lists(
            self.migration, old and (lambda q, _: old(q)), lambda q, _: new(q), settings["rows"]
        )
        session = Session(
            Scope.of(self.migration), Settings(judge=judge, folder=self.folder, **settings),
            Questions.of(texts), Ahead(lists), gone,
        )  # fmt: skip
        self.opened.append(session)
        return session


@pytest.fixture
def bench(migration, tmp_path):
    bench = Bench(migration, tmp_path / "judgements")
    yield bench
    for session in bench.opened:
        session.lists.close()


def press(session, *answers):
    """The state after these answers, each to the question that is shown."""
    state = session.handle({})
    for answer in answers:
        state = session.handle({"answer": answer, "turn": state["turn"]})
        assert state["error"] == ""
    return state

"""The widget without a browser, as papermill runs it; tests/browser has the rest."""

import pytest

from ragkit.runbook.judging.opening import open_session
from ragkit.runbook.judging.page import SCRIPT
from ragkit.runbook.judging.widget import JudgeWidget


@pytest.fixture
def widget(open_runbook):
    session = open_session(open_runbook())
    yield JudgeWidget(session)
    session.lists.close()


def test_it_shows_the_first_question_with_the_front_end_of_the_page(widget):
    assert widget.state["question"]
    assert widget._esm == SCRIPT.read_text()


def test_a_message_of_the_front_end_is_answered(widget, monkeypatch):
    sent = []
    monkeypatch.setattr(widget, "send", sent.append)
    first = widget.state["turn"]
    widget._handle_custom_msg({"answer": "left", "turn": first}, [])
    assert sent == [widget.state]
    assert widget.state["judged"] == 1
    assert widget.state["turn"] != first


def test_a_run_without_anybody_says_where_it_stands(widget):
    assert repr(widget).startswith("No question is judged yet. To decide: not worse than")
    widget.state = {"error": "the quota is used up", "busy": False}
    assert repr(widget) == "the quota is used up"

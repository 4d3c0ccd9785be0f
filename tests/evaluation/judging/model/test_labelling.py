"""A model labels questions of a real table; what is kept, and what it is worth."""

from dataclasses import dataclass, field

import pytest

from ragkit.errors import ConfigError, ModelBusy, ModelUnavailable
from ragkit.evaluation.judging.model import correction
from ragkit.evaluation.judging.model.labelling import label_questions
from ragkit.evaluation.judging.record.journal import read_journal
from ragkit.evaluation.judging.record.lines import Label
from tests.evaluation.judging.conftest import OLD_ROWS, press


@dataclass
class Model:
    """Says what `answers` say in turn, then "left"; an error is raised."""

    answers: list = field(default_factory=list)
    asked: list = field(default_factory=list)
    name: str = "openai:some"

    def judge(self, question, left, right):
        self.asked.append((question, list(left), list(right)))
        answer = self.answers.pop(0) if self.answers else "left"
        if isinstance(answer, Exception):
            raise answer
        return answer


def run(session, model, most=100):
    return list(label_questions(session, model, most))[-1]


def labels(bench):
    return [line for line in read_journal(bench.folder).lines if isinstance(line, Label)]


def test_each_question_once_and_no_person_is_counted(bench):
    session, model = bench.session(), Model()
    state = run(session, model)
    assert (state.questions, state.labels, state.unusable) == (12, 12, 0)
    assert len({question for question, *_ in model.asked}) == 12
    view = session.view()
    assert view.judgements.preferences == []
    assert view.remarks() == []  # one key, and yet no judge
    assert len(view.open) == 12
    assert view.progress.test.n == 0


def test_the_sides_are_shuffled(bench):
    model = Model()
    run(bench.session(questions=30), model)
    lefts = [label.left for label in labels(bench)]
    assert 5 < lefts.count("old") < 25
    for label, (_, left, right) in zip(labels(bench), model.asked, strict=True):
        assert len(left) == len(right) == 3
        assert label.preferred == label.left
    assert len({tuple(left) for _, left, _ in model.asked}) == 2


def test_it_ends_at_its_budget_and_goes_on_with_a_larger_one(bench):
    model = Model()
    assert run(bench.session(), model, 5).questions == 5
    assert run(bench.session(), model, 5).questions == 5
    assert len(model.asked) == 5
    assert run(bench.session(), model, 8).questions == 8
    assert len({question for question, *_ in model.asked}) == len(model.asked) == 8


def test_what_was_paid_before_an_error_is_kept(bench):
    model = Model(["left", "right", ModelBusy("busy")])
    with pytest.raises(ModelBusy):
        run(bench.session(), model)
    assert [label.answer for label in labels(bench)] == ["left", "right"]
    assert run(bench.session(), model).questions == 12
    assert len(model.asked) == 13  # the one that failed was asked again


def test_lists_that_are_the_same_cost_nothing(bench):
    model = Model()
    state = run(bench.session(new=lambda q: OLD_ROWS if q < "q5" else ["4"]), model)
    assert (state.questions, state.labels) == (12, len(model.asked))
    assert 0 < len(model.asked) < 12


def test_nonsense_is_kept_as_no_label_and_not_asked_again(bench):
    model = Model(["Left!", "", None])
    state = run(bench.session(), model)
    assert (state.labels, state.unusable) == (9, 3)
    assert [label.answer for label in labels(bench)][:3] == ["none"] * 3
    assert run(bench.session(), model) == state
    assert len(model.asked) == 12


def test_a_model_that_says_mostly_nonsense_is_stopped(bench):
    model = Model(["?"] * 100)
    with pytest.raises(ModelUnavailable, match="nothing usable for 10 of 10 questions"):
        run(bench.session(questions=40), model)
    assert len(model.asked) == 10


def test_people_get_the_labelled_questions_first(bench):
    run(bench.session(questions=30), Model(["?"]), 6)
    tried = {label.question for label in labels(bench)}
    assert set(list(bench.session(questions=30).view().open)[:6]) == tried
    state = press(bench.session(questions=30), "left")
    assert state["judged"] == 1


def test_judgements_after_the_labels_are_corrected_and_it_is_said(bench, monkeypatch):
    monkeypatch.setattr(correction, "SPARE", 2)
    run(bench.session(questions=30), Model(["left", "right"] * 15))
    state = press(bench.session(questions=30), "left", "right", "left")
    assert state["remarks"] == ["Labels of a model make 3 of the judgements more certain"]
    assert state["remaining"] == 30 - 3 - 3 * correction.OTHERS
    view = bench.session(questions=30).view()
    found = correction.CorrectedJudgements.of(view.judgements)
    assert view.progress.test == found.test(-0.1)
    assert not found.used & set(view.open)


def test_rows_alone_and_a_name_that_is_too_long_are_refused(bench):
    with pytest.raises(ConfigError, match="two lists side by side"):
        run(bench.session(pooled=True), Model())
    with pytest.raises(ConfigError, match="up to 80 characters"):
        run(bench.session(), Model(name="m:" + "x" * 99))
    assert labels(bench) == []

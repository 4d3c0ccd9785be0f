"""Which labels belong to which judgement."""

import numpy as np
import pytest

from ragkit.evaluation.judging.model import correction
from ragkit.evaluation.judging.model.correction import (
    OTHERS,
    SPARE,
    CorrectedJudgements,
    model_labels,
)
from ragkit.evaluation.judging.record.lines import Label
from ragkit.evaluation.judging.record.standing import Judgements
from ragkit.sequential.betting import sequential_test
from tests.evaluation.judging.lines_of import preference

LIMIT = -0.1
MANY = SPARE * (OTHERS + 4)


def label(question, answer="left", second=0.0, judge="openai:some", left="new", **more):
    line = preference(question, "left", second, judge, left, **more)
    return Label(**{**line.model_dump(exclude={"kind"}), "answer": answer})


def labels_of(count, answer=lambda n: "left", second=0.0, **more):
    return [label(f"q{n}", answer(n), second, **more) for n in range(count)]


def clicks(count, answer=lambda n: "left", start=10.0, first=0):
    return [preference(f"q{n}", answer(n), start + n) for n in range(first, first + count)]


def asked(count, labels, answer=lambda n: "left"):
    """Clicks on the questions that a person is shown: never one whose label is used."""
    people = []
    for n in range(len(labels)):
        if len(people) < count and f"q{n}" not in corrected(people, labels).used:
            people += clicks(1, answer, first=n)
    return people


def corrected(people, labels):
    return CorrectedJudgements.of(Judgements(people, labels=labels))


def test_without_labels_it_is_the_plain_test():
    people = clicks(20, lambda n: ("left", "right", "equal")[n % 3])
    result = corrected(people, []).test(LIMIT)
    assert result == sequential_test([each.value for each in people], LIMIT)


def test_a_judgement_takes_a_block_and_no_label_is_in_two():
    labels = labels_of(MANY)
    people = asked(20, labels)
    found = corrected(people, labels)
    assert found.people == people
    assert found.blocks == 20
    assert len(found.used) == OTHERS * 20
    assert not found.used & {each.question for each in people}


def test_a_label_counts_for_the_judgements_after_it_only():
    people = clicks(20, lambda n: ("left", "right")[n % 2])
    half = corrected(people, labels_of(MANY, second=20.5))  # after q10
    assert half.people[:11] == people[:11]
    assert half.blocks == len(half.people) - 11 > 0
    assert corrected(people, labels_of(MANY, second=99)).blocks == 0


def test_what_was_counted_stays_as_it_was_whatever_comes_later():
    answers = ("left", "right", "equal")
    before = labels_of(MANY, lambda n: answers[n % 3])
    people = clicks(15, lambda n: answers[n % 2])
    first = corrected(people, before)
    other = [label(f"q{n}", "right", 25.0, "openai:other") for n in range(MANY)]
    later = corrected([*people, *clicks(9, start=30, first=15)], [*before, *other])
    n = len(first.people)
    assert later.people[:n] == first.people
    assert (later.correction.noise.values[:n] == first.correction.noise.values).all()
    assert first.used < later.used


def test_a_judgement_whose_label_was_used_counts_no_more():
    first = corrected(clicks(1), labels_of(MANY))
    taken = min(first.used)
    people = [*clicks(1), preference(taken, "left", 99)]
    assert [p.question for p in corrected(people, labels_of(MANY)).people] == ["q0"]


def test_few_labels_leave_questions_for_people():
    assert corrected(clicks(9), labels_of(SPARE)).used == set()
    labels = labels_of(300)
    found = corrected(asked(300, labels), labels)
    assert len(found.people) + len(found.used) == 300
    assert 70 < found.blocks < len(found.people) < 200


@pytest.mark.parametrize("change", ["none", "same lists"])
def test_no_label_is_no_block(change):
    labels = labels_of(MANY)
    own = {"answer": "none"} if change == "none" else {"asked": False}
    labels[0] = label("q0", **own)
    found = corrected(clicks(1), labels)
    assert found.blocks == 0
    assert found.correction.noise.values[0] == 0


def test_two_lists_that_are_the_same_need_no_model():
    same = preference("q0", "equal", 10, asked=False)
    assert corrected([same], labels_of(MANY)).blocks == 0


def test_a_model_that_is_often_right_narrows_the_interval_around_the_same_mean():
    rng = np.random.default_rng(1)
    says = rng.choice(["left", "right", "equal"], MANY, p=[0.4, 0.3, 0.3])
    errs = rng.random(MANY) < 0.1
    labels = labels_of(MANY, lambda n: "right" if errs[n] else says[n])
    found = Judgements(asked(80, labels, lambda n: says[n]), labels=labels)
    test = CorrectedJudgements.of(found).test(LIMIT)
    model = model_labels(found, LIMIT)
    assert test.high - test.low < 0.85 * (model.alone.high - model.alone.low)
    assert model.alone.n == 80
    assert (model.labels, model.compared) == (MANY, 80)
    assert model.same == pytest.approx(1 - errs[:80].mean(), abs=0.08)
    assert 0.5 < model.alpha < 1
    assert 0.4 < model.share <= 1


def test_labels_alone_decide_nothing():
    found = Judgements(labels=labels_of(MANY))
    assert CorrectedJudgements.of(found).test(LIMIT).n == 0
    assert model_labels(found, LIMIT).compared == 0
    assert model_labels(Judgements(clicks(3)), LIMIT) is None


def test_people_who_look_after_each_click_with_a_biased_model_are_rarely_wrong(monkeypatch):
    """Through the blocks of a journal, at the margin."""
    monkeypatch.setattr(correction, "SPARE", 10)
    rng, runs, wrong = np.random.default_rng(2), 150, 0
    shown = [int(each.question[1:]) for each in asked(40, labels_of(200))]
    for _ in range(runs):
        says = rng.choice(["left", "right", "equal"], 200, p=[0.25, 0.35, 0.4])
        biased = labels_of(200, lambda n, says=says: "left" if says[n] == "equal" else says[n])
        people = [preference(f"q{n}", says[n], 10 + n) for n in shown]
        wrong += corrected(people, biased).test(LIMIT).above is True
    assert wrong / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)

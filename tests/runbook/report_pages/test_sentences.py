import pytest

from ragkit.migration.verdict import Gate, GateError, Verdict, require_go
from ragkit.runbook.report_pages import sentences
from tests.evaluation.example_evidence import make_comparison, make_evidence, make_questions
from tests.runbook.report_pages.example_summary import FIGURES, NEW, OLD

PASSED, FAILED, OPEN = (
    Gate("coverage", "100%", "none pending", True),
    Gate("floor", "0.1", "≥ 0.3", False),
    Gate("judged questions", "none", "required", None),
)


def stop(notebook, reason):
    return {"notebook": notebook, "reason": reason}


def stop_of(verdict):
    """As the notebook of the comparison stops."""
    with pytest.raises(GateError) as stopped:
        require_go(verdict)
    return stop("03_compare", str(stopped.value))


def test_a_go_has_its_gain():
    assert sentences.why(Verdict.of([PASSED], FIGURES)) == (
        "Every one of 1 gates passed; nDCG@10 +0.046 (90 % interval +0.019 to +0.074)."
    )
    assert sentences.why(Verdict.of([PASSED], {})) == "Every one of 1 gates passed."


def test_without_a_go_the_gates_that_decide_are_named():
    assert sentences.why(Verdict.of([PASSED, FAILED, OPEN], {})) == (
        "1 of 3 gates failed: floor: 0.1, expected ≥ 0.3."
    )
    assert sentences.why(Verdict.of([PASSED, OPEN], {})) == (
        "1 of 2 gates could not be decided: judged questions: none, expected required."
    )


def test_what_changes_for_users_is_rows_quality_the_worst_slice_and_time():
    rows, quality, worst, latency = sentences.what_changes(FIGURES)
    assert rows.startswith("The first row is another one for 75 % of the questions (90 % interval ")
    assert rows.endswith(", and of the first 10 rows 0 % are others.")
    assert quality == (
        "nDCG@10 rises from 0.551 to 0.597, +0.046 (90 % interval +0.019 to +0.074); "
        "of 280 judged questions, 121 gain and 95 lose."
    )
    assert worst == (
        "The slice that loses most is length 1-2 words, 83 questions: -0.067 "
        "(-0.136 to -0.001, corrected for 2 slices)."
    )
    assert latency == (
        "The way from a question to its rows takes 4.8 times as long, 1.2 → 5.8 ms in the median."
    )


def changed_metric(mean, low, high):
    metric = FIGURES["metrics"]["nDCG@10"]
    change = {"mean": mean, "low": low, "high": high}
    return {**FIGURES, "metrics": {"nDCG@10": {**metric, "change": change}}}


def test_a_change_whose_interval_holds_0_may_be_chance():
    _, quality, *_ = sentences.what_changes(changed_metric(-0.01, -0.03, 0.01))
    assert "nDCG@10 falls from" in quality
    assert "that may be chance" in quality
    wide = {**FIGURES["worst_slice"], "change": {"mean": -0.1, "low": -0.3, "high": 0.1}}
    assert "that may be chance" in sentences.what_changes({**FIGURES, "worst_slice": wide})[2]
    gain = {**FIGURES["worst_slice"], "change": {"mean": 0.1, "low": -0.3, "high": 0.3}}
    text = sentences.what_changes({**FIGURES, "worst_slice": gain})[2]
    assert text == "None of 2 slices loses in the mean."


def test_known_items_are_called_a_proxy():
    questions = {**FIGURES["questions"], "proxy": True}
    text = sentences.what_changes({**FIGURES, "questions": questions})[1]
    assert "of 280 known items, a proxy that favours a lexical model, 121 gain" in text


def test_nothing_is_said_that_was_not_measured():
    assert sentences.what_changes({}) == []
    stored_vectors_only = make_evidence().figures()
    assert sentences.what_changes(stored_vectors_only) == [
        "No question was asked of both models, so nothing says which rows users will see.",
        "A stored row keeps 70 % of its 10 nearest rows.",
    ]
    asked = make_questions(4)
    unjudged = make_comparison(type(asked)(asked.texts, {}), OLD, NEW)
    rows, quality, latency = sentences.what_changes(make_evidence(unjudged).figures())
    assert "75 %" in rows
    assert (
        quality == "No question was judged, so nothing says whether the rows are better or worse."
    )
    assert "1.0 times as long" in latency
    assert "first 10 rows" not in sentences.what_changes({**FIGURES, "least_overlap": 0.9})[0]


def test_the_next_step_follows_from_what_stopped_the_run():
    no_go, undecided = Verdict.of([FAILED], {}), Verdict.of([OPEN], {})
    assert sentences.next_step(no_go, None) == ""
    text = sentences.next_step(no_go, stop_of(no_go))
    assert "did not switch the app. Mend what the failed gates say" in text
    assert "Give the undecided gates" in sentences.next_step(undecided, stop_of(undecided))
    broken = stop("04_cutover", "the revision did not start")
    for verdict in (None, no_go, Verdict.of([PASSED], {})):
        assert sentences.next_step(verdict, broken).startswith("Mend the cause and run the same")
        assert not sentences.stopped_by_verdict(verdict, broken)
    assert sentences.stopped_by_verdict(no_go, stop_of(no_go))

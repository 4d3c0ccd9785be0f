import json

import numpy as np
import pytest

from ragkit.errors import ConfigError
from ragkit.evaluation.comparison import compare
from ragkit.evaluation.evidence import collect_evidence
from ragkit.evaluation.gates import quality_gates
from ragkit.evaluation.old_run import read_old_run, run_of
from ragkit.evaluation.questions import QuestionSet
from ragkit.runbook.report_pages.sentences import what_changes
from tests.conftest import TEXTS

TEXT_BY_QUESTION = {f"q{n}": text.partition(". ")[2] for n, text in enumerate(TEXTS, 1)}
QUESTIONS = QuestionSet(TEXT_BY_QUESTION, {f"q{n}": {str(n): 3} for n in range(1, 6)})


def written(tmp_path, text):
    file = tmp_path / "old.run"
    file.write_text(text)
    return file


def test_a_trec_run_is_read_by_its_ranks(tmp_path):
    run = "q1 Q0 7 2 0.5 gecko\nq1 Q0 9 1 0.7 gecko\nq2 Q0 1 1 0.9 gecko\n"
    assert read_old_run(written(tmp_path, run)) == {"q1": ["9", "7"], "q2": ["1"]}


def test_the_lines_of_an_app_s_log_are_read_by_text_or_id(tmp_path):
    lines = [
        {"text": "tea", "rows": [3, 1]},
        {"_id": "q2", "rows": []},
        {"text": "tea", "rows": [5]},
    ]
    text = "\n".join(map(json.dumps, lines))
    assert read_old_run(written(tmp_path, text)) == {"tea": ["5"], "q2": []}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "old.run has no list"),
        ("q1 7 1\n", "line 1: expected `question Q0 row rank score tag`"),
        ("q1 Q0 7 first 0.5 x\n", "line 1: expected `question"),
        ('{"text": "tea"}\n', r'line 1: expected {"text": "…", "rows"'),
        ('{"text": "tea", "rows": "3"}\n', r"line 1: expected {"),
        ('{"text": "tea", "rows": []}\nnothing\n', r"line 2: expected {"),
    ],
)
def test_a_bad_file_is_told_with_its_line(tmp_path, text, told):
    with pytest.raises(ConfigError, match=told):
        read_old_run(written(tmp_path, text))


def test_lists_of_other_questions_are_refused():
    with pytest.raises(ConfigError, match="lists of 1 questions, and none of those of"):
        run_of({"coffee": ["1"]}, "gecko", QUESTIONS, 3)


def test_a_model_that_cannot_be_asked_is_compared_by_what_it_answered(
    filled, old_embedder, new_embedder
):
    asked = compare(filled, QUESTIONS, old_embedder, new_embedder)
    logged = {
        text: asked.old.rankings[question] for question, text in TEXT_BY_QUESTION.items()
        if question != "q5"
    }  # fmt: skip
    comparison = compare(filled, QUESTIONS, logged, new_embedder)
    assert list(comparison.questions.texts) == ["q1", "q2", "q3", "q4", "q6"]
    assert comparison.old.model.endswith(", as logged")
    judged = asked.old_scores.loc[list(comparison.questions.qrels)]
    np.testing.assert_allclose(comparison.old_scores, judged)
    evidence = collect_evidence(filled, comparison)
    figures = evidence.figures()
    assert figures["p50_ms"]["old"] is None
    assert figures["p50_ms"]["new"] > 0
    assert evidence.cutoff is None
    assert {m.queries for m in evidence.index if m.side == "old"} == {"rows"}
    names = [gate.name for gate in quality_gates(filled.plan.gates, evidence)]
    assert "nDCG@3 change" in names
    assert "takes" in what_changes(figures)[-1]

import pytest

from ragkit.errors import ConfigError
from ragkit.evaluation.questions import QuestionSet, read_questions

QUESTIONS = '{"_id": "q1", "text": "coffee"}\n{"_id": "q2", "text": "ski hire"}\n'
QRELS = "query-id\tcorpus-id\tscore\nq1\t7\t3\nq1\t8\t0\n"


def read_files(tmp_path, questions=QUESTIONS, qrels=QRELS):
    (tmp_path / "q.jsonl").write_text(questions, encoding="utf-8")
    (tmp_path / "qrels.tsv").write_text(qrels, encoding="utf-8")
    return read_questions(tmp_path / "q.jsonl", tmp_path / "qrels.tsv")


def test_beir_files(tmp_path):
    questions = read_files(tmp_path)
    assert questions.texts == {"q1": "coffee", "q2": "ski hire"}
    assert questions.qrels == {"q1": {"7": 3, "8": 0}}
    assert questions.unanswerable == 1
    assert questions.judged_rows() == {"7", "8"}


def test_trec_qrels(tmp_path):
    assert read_files(tmp_path, qrels="q1 0 7 2\n").qrels == {"q1": {"7": 2}}


@pytest.mark.parametrize(
    ("questions", "qrels", "message"),
    [
        ("not json\n", "q1 0 7 1\n", "q.jsonl line 1: expected"),
        (QUESTIONS + '{"_id": "q1", "text": "x"}\n', "q1 0 7 1\n", "line 3: .* is used twice"),
        ('{"_id": "q1", "text": "  "}\n', "q1 0 7 1\n", "is empty"),
        (QUESTIONS, "q1 7\n", "qrels.tsv line 1: expected"),
        (QUESTIONS, "q1 0 7 good\n", "qrels.tsv line 1: expected"),
        (QUESTIONS, "q1 0 7 1\nq1 0 7 2\n", "judged twice"),
        (QUESTIONS, "q9 0 7 1\n", r"has questions that q.jsonl lacks: \['q9'\]"),
        (QUESTIONS, "q1 0 7 0\n", "no relevant row"),
    ],
)
def test_errors_name_the_file_and_the_line(tmp_path, questions, qrels, message):
    with pytest.raises(ConfigError, match=message):
        read_files(tmp_path, questions, qrels)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        read_questions(tmp_path / "none", tmp_path / "none")


def test_a_log_is_read_as_text_or_json_lines_with_counts(tmp_path):
    plain, counted = tmp_path / "log.txt", tmp_path / "log.jsonl"
    plain.write_text("coffee\n\nwifi\ncoffee \n")
    counted.write_text('{"text": "coffee", "count": 7}\n{"text": "wifi"}\n')
    logs = [read_questions(file, None) for file in (plain, counted)]
    assert [list(log.texts.values()) for log in logs] == [["coffee", "wifi"]] * 2
    assert [list(log.counts.values()) for log in logs] == [[2, 1], [7, 1]]
    assert [log.qrels for log in logs] == [{}, {}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n", "contains no question"),
        ('{"name": "x"}\n', "line 1: expected"),
        ('{"text": "x", "count": 0}\n', "the count is 0, expected 1 or more"),
        ('{"text": " "}\n', "the text is empty"),
    ],
)
def test_an_invalid_log_is_an_error(tmp_path, text, message):
    file = tmp_path / "log"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_questions(file, None)


def test_rows_are_removed_with_the_questions_that_only_they_answer():
    questions = QuestionSet({"q1": "a", "q2": "b"}, {"q1": {"7": 3, "8": 1}, "q2": {"9": 1}}, 1)
    remaining = questions.without_rows({"7", "9"})
    assert remaining.qrels == {"q1": {"8": 1}}
    assert (remaining.missing_rows, remaining.unanswerable) == (3, 1)
    assert remaining.texts == questions.texts

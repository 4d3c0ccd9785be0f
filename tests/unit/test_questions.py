import pytest

from ragkit.comparison import questions
from ragkit.errors import ConfigError

ASKED = '{"_id": "q1", "text": "coffee"}\n{"_id": "q2", "text": "ski hire"}\n'


def read(tmp_path, asked=ASKED, judged="query-id\tcorpus-id\tscore\nq1\t7\t3\nq1\t8\t0\n"):
    (tmp_path / "q.jsonl").write_text(asked, encoding="utf-8")
    (tmp_path / "qrels.tsv").write_text(judged, encoding="utf-8")
    return questions.read(tmp_path / "q.jsonl", tmp_path / "qrels.tsv")


def test_beir_files(tmp_path):
    found = read(tmp_path)
    assert found.texts == {"q1": "coffee", "q2": "ski hire"}
    assert found.qrels == {"q1": {"7": 3, "8": 0}}
    assert found.unanswerable == 1


def test_trec_qrels(tmp_path):
    assert read(tmp_path, judged="q1 0 7 2\n").qrels == {"q1": {"7": 2}}


@pytest.mark.parametrize(
    ("asked", "judged", "says"),
    [
        ("not json\n", "q1 0 7 1\n", "q.jsonl line 1: expected"),
        (ASKED + '{"_id": "q1", "text": "x"}\n', "q1 0 7 1\n", "stands twice"),
        ('{"_id": "q1", "text": "  "}\n', "q1 0 7 1\n", "is empty"),
        (ASKED, "q1 7\n", "qrels.tsv line 1: expected"),
        (ASKED, "q1 0 7 good\n", "qrels.tsv line 1: expected"),
        (ASKED, "q1 0 7 1\nq1 0 7 2\n", "judged twice"),
        (ASKED, "q9 0 7 1\n", "not asked"),
        (ASKED, "q1 0 7 0\n", "no relevant row"),
    ],
)
def test_faults_name_the_file_and_the_line(tmp_path, asked, judged, says):
    with pytest.raises(ConfigError, match=says):
        read(tmp_path, asked, judged)


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        questions.read(tmp_path / "none", tmp_path / "none")


def test_a_log_is_read_as_text_or_json_lines_with_counts(tmp_path):
    plain, counted = tmp_path / "log.txt", tmp_path / "log.jsonl"
    plain.write_text("coffee\n\nwifi\ncoffee \n")
    counted.write_text('{"text": "coffee", "count": 7}\n{"text": "wifi"}\n')
    found = [questions.read(file, None) for file in (plain, counted)]
    assert [list(log.texts.values()) for log in found] == [["coffee", "wifi"]] * 2
    assert [list(log.counts.values()) for log in found] == [[2, 1], [7, 1]]
    assert [log.qrels for log in found] == [{}, {}]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\n", "holds no question"),
        ('{"name": "x"}\n', "line 1: expected"),
        ('{"text": "x", "count": 0}\n', "a count below 1"),
        ('{"text": " "}\n', "an empty text"),
    ],
)
def test_a_log_that_is_none(tmp_path, text, says):
    file = tmp_path / "log"
    file.write_text(text)
    with pytest.raises(ConfigError, match=says):
        questions.read(file, None)

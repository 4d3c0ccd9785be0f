import json
import subprocess
import sys

import pytest

from ragkit.errors import ConfigError
from ragkit.evaluation.judging.record.export import Files, export
from ragkit.evaluation.judging.record.journal import Journal
from ragkit.evaluation.judging.record.standing import select
from ragkit.evaluation.metrics.trec import score_questions
from ragkit.evaluation.questions import read_questions
from tests.evaluation.judging.lines_of import SCOPE, pool, preference


def exported(folder, *lines):
    files = Files.of(folder, SCOPE)
    export(select(Journal(list(lines)), SCOPE), files)
    return files


def test_a_comparison_reads_the_qrels_with_their_questions(tmp_path):
    files = exported(tmp_path, *pool("q1", relevant=("3",)), *pool("q2", relevant=("1", "2")))
    judged = read_questions(files.questions, files.qrels)
    assert judged.texts == {"q1": "text of q1", "q2": "text of q2"}
    assert judged.qrels == {"q1": {"1": 0, "2": 0, "3": 1}, "q2": {"1": 1, "2": 1, "3": 0}}
    scores = score_questions(judged.qrels, {"q1": ["3", "2"], "q2": ["3", "2"]}, 2)
    assert list(scores["precision@2"]) == [0.5, 0.5]


def test_the_qrels_are_trecs_four_columns(tmp_path):
    assert exported(tmp_path, *pool(relevant=("1",))).qrels.read_text() == (
        "q1 0 1 1\nq1 0 2 0\nq1 0 3 0\n"
    )


def test_preferences_say_who_when_and_what_is_preferred(tmp_path):
    files = exported(tmp_path, preference("q1", "right", left="old"), preference("q2", "equal"))
    first, second = map(json.loads, files.preferences.read_text().splitlines())
    assert first == {
        "question": "q1", "text": "text of q1", "preferred": "new", "answer": "right",
        "asked": True, "judge": "ana", "at": "2026-11-01T00:00:00+00:00",
    }  # fmt: skip
    assert second["preferred"] is None


def test_nothing_is_written_where_nothing_is_judged(tmp_path):
    exported(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_was_taken_back_leaves_the_files(tmp_path):
    exported(tmp_path, preference("q1"))
    assert exported(tmp_path).preferences.read_text() == ""


def test_a_question_that_has_no_rows_at_all_is_in_no_qrels(tmp_path):
    nothing = pool("q1")[0].model_copy(update={"row": "", "asked": False, "old": (), "new": ()})
    assert not exported(tmp_path, nothing).qrels.exists()


def test_keys_that_trec_cannot_hold_are_told(tmp_path, caplog):
    odd = [a.model_copy(update={"row": "a b", "old": ("a b",), "new": ()}) for a in pool("q1")[:1]]
    files = exported(tmp_path, *odd, *pool("q2"))
    assert "1 judged keys have white space" in caplog.text
    assert {line.split()[0] for line in files.qrels.read_text().splitlines()} == {"q2"}


def test_tables_and_columns_have_files_of_their_own(tmp_path):
    odd = SCOPE.model_copy(update={"table": "sales.a/b"})
    names = {Files.of(tmp_path, scope).qrels for scope in (SCOPE, odd)}
    assert len(names) == 2
    assert {name.parent for name in names} == {tmp_path}


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot write .*preferences\.jsonl"):
        exported(tmp_path / "none", preference())


def test_a_reader_never_sees_half_a_file(tmp_path):
    """Somebody reads it all the while."""
    many = [preference(f"q{n}", second=n) for n in range(300)]
    files = exported(tmp_path, *many)
    script = (
        "import json, pathlib, sys\nfile, bad = pathlib.Path(sys.argv[1]), 0\n"
        "print('ready', flush=True)\n"
        "for _ in range(300): bad += len(file.read_text().splitlines()) != 300\nprint(bad)"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", script, str(files.preferences)], stdout=subprocess.PIPE, text=True
    )
    reader.stdout.readline()
    while reader.poll() is None:
        exported(tmp_path, *many)
    assert reader.communicate()[0] == "0\n"

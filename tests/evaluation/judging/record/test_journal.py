"""A file that is written by people who press keys, and by crashes."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.errors import ConfigError
from ragkit.evaluation.judging.record.journal import append, judge_file, read_journal
from tests.conftest import ROOT, environment
from tests.evaluation.judging.lines_of import preference

WRITER = """
import sys
from pathlib import Path
from ragkit.evaluation.judging.record.journal import append
from tests.evaluation.judging.lines_of import preference
folder, judge, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for n in range(count):
    append(folder, preference(f"{judge} {sys.argv[4]} {n}", judge=judge, second=n))
    print(n, flush=True)
"""


def writer(folder, judge, count, name="w", before=""):
    return subprocess.Popen(
        [sys.executable, "-c", before + WRITER, str(folder), judge, str(count), name],
        env=environment(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@given(lines=st.integers(1, 4), data=st.data())
def test_a_file_that_is_cut_anywhere_keeps_its_whole_lines_and_takes_more(lines, data):
    with TemporaryDirectory() as name:
        folder = Path(name)
        written = [preference(f"q{n}", second=n) for n in range(lines)]
        for line in written:
            append(folder, line)
        file = judge_file(folder, "ana")
        content = file.read_bytes()
        cut = data.draw(st.integers(0, len(content)))
        file.write_bytes(content[:cut])
        # a line whose newline alone is missing is whole
        whole = [w for n, w in enumerate(written) if cut >= _end_of(content, n) - 1]
        assert read_journal(folder).lines == whole
        more = preference("more", second=lines)
        append(folder, more)
        journal = read_journal(folder)
        assert journal.lines == [*whole, more]
        assert journal.unreadable == []


def _end_of(content: bytes, line: int) -> int:
    return len(b"\n".join(content.split(b"\n")[: line + 1])) + 1


def test_two_processes_of_one_judge_and_one_of_another_lose_nothing(tmp_path):
    writers = [writer(tmp_path, "ana", 60, "1"), writer(tmp_path, "ana", 60, "2"),
               writer(tmp_path, "bo", 60, "3")]  # fmt: skip
    for each in writers:
        _, errors = each.communicate(timeout=60)
        assert each.returncode == 0, errors
    journal = read_journal(tmp_path)
    assert len({line.question for line in journal.lines}) == len(journal.lines) == 180
    assert journal.unreadable == []
    assert len(list(tmp_path.iterdir())) == 2


def test_what_was_told_to_be_kept_survives_kill_9(tmp_path):
    process = writer(tmp_path, "ana", 100_000)
    told = [int(process.stdout.readline()) for _ in range(20)]
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    append(tmp_path, preference("after", second=1e6))
    journal = read_journal(tmp_path)
    assert len(journal.lines) > len(told)
    assert journal.lines[-1].question == "after"
    assert journal.unreadable == []


def test_a_full_disk_is_told_and_leaves_no_half_line(tmp_path):
    append(tmp_path, preference())
    before = judge_file(tmp_path, "ana").read_bytes()
    limit = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 50},) * 2)\n"
    )
    process = writer(tmp_path, "ana", 1, before=limit)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "ConfigError: the judgement was not kept, cannot write" in errors
    assert judge_file(tmp_path, "ana").read_bytes() == before


def test_a_line_that_somebody_edited_is_named_and_the_others_count(tmp_path):
    for n in range(3):
        append(tmp_path, preference(f"q{n}", second=n))
    file = judge_file(tmp_path, "ana")
    first, second, third = file.read_text().splitlines()
    file.write_text(f"{first}\n{second[:-9]}\n{third}\n")
    journal = read_journal(tmp_path)
    assert [line.question for line in journal.lines] == ["q0", "q2"]
    assert journal.unreadable == [f"{file.name} line 2"]


def test_lines_are_in_order_of_time_and_a_file_keeps_its_own(tmp_path):
    """Ana's clock was put back between her two lines."""
    for line in (
        preference("q1", second=5), preference("q2", second=1),
        preference("q3", second=3, judge="bo"), preference("q4", second=7, judge="bo"),
    ):  # fmt: skip
        append(tmp_path, line)
    assert [line.question for line in read_journal(tmp_path).lines] == ["q3", "q1", "q2", "q4"]


def test_the_files_are_for_this_user_only(tmp_path):
    append(tmp_path / "new" / "folder", preference())
    file = judge_file(tmp_path / "new" / "folder", "ana")
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("name", ["../ana", "a/b", "ana maria", ".", "日本", "a\\b"])
def test_every_name_has_a_file_of_its_own_in_the_folder(tmp_path, name):
    file = judge_file(tmp_path, name)
    assert file.parent == tmp_path
    append(tmp_path, preference(judge=name))
    assert [line.judge for line in read_journal(tmp_path).lines] == [name]


def test_names_that_look_alike_as_a_file_are_two():
    names = ("ana maria", "ana-maria", "ana/maria")
    assert len({judge_file(Path(), name) for name in names}) == 3


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 200])
def test_a_name_that_is_none_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="expected the judge's name"):
        judge_file(tmp_path, name)


def test_a_folder_that_is_not_there_has_no_judgement(tmp_path):
    assert read_journal(tmp_path / "none").lines == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="the judgement was not kept"):
        append(tmp_path / "file" / "folder", preference())


def test_several_lines_are_kept_together(tmp_path):
    lines = [preference(f"q{n}", second=n) for n in range(3)]
    append(tmp_path, *lines)
    assert read_journal(tmp_path).lines == lines

from dataclasses import dataclass, replace

import pytest

from ragkit.deploy.canary.decision import ON, WAIT, CanaryLook
from ragkit.deploy.project_checks import Check
from ragkit.migration.backfill.progress import Progress
from ragkit.migration.schema.index import BuildProgress
from ragkit.migration.verdict import Gate
from ragkit.runbook.cli.terminal import open_terminal, plain


@dataclass
class Row:
    name: str
    rows: int
    bytes: int


@pytest.fixture
def terminal():
    """pytest's stdout is no terminal."""
    with open_terminal(False) as terminal:
        assert isinstance(terminal, plain.PlainTerminal)
        yield terminal


def test_a_table_is_aligned_and_never_wrapped(terminal, capsys):
    terminal.table("big_tables", [Row("a", 12_400, 2_000_000), Row("b " * 300, 3, 5)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "big tables:"
    assert lines[1].split() == ["name", "rows", "size"]
    assert lines[2].split() == ["a", "12,400", "2.0", "MB"]
    assert len(lines) == 4
    assert lines[2].index("12,400") + len("12,400") == lines[3].index("  3  ") + 3  # to the right
    assert not [line for line in lines if line.endswith(" ")]


def test_a_record_is_a_fact_a_line_and_an_empty_table_says_so(terminal, capsys):
    terminal.record("row", Row("two\nlines", 3, 5))
    terminal.table("rows", [])
    said = capsys.readouterr().out
    assert said == "row:\nname: two lines\nrows: 3\nsize: 5 Bytes\nrows: none\n"


def test_checks_are_words_with_their_fix_and_are_counted(terminal, capsys):
    terminal.checks("checks", [Check("disk", "full", False, "buy one"), Check("app", "none", None)])
    terminal.checks("gates", [Gate("coverage", "99 %", "100 %", None)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "checks:"
    assert lines[2].split() == ["problem", "disk", "full", "buy", "one"]
    assert lines[3].split() == ["note", "app", "none"]
    assert lines[4] == "1 problem"
    assert lines[7].split() == ["warning", "coverage", "99", "%", "100", "%"]
    assert lines[8] == "no problems, 1 warning"


@pytest.mark.parametrize("as_json", [False, True])
def test_faults_are_lines_on_stderr(capsys, as_json):
    with open_terminal(as_json) as terminal:
        terminal.faults("faults", ["it\nstopped", "no answer"])
    said = capsys.readouterr()
    assert said.err == "FAULT: it stopped\nFAULT: no answer\n"
    assert ("no answer" in said.out) is as_json


def test_control_characters_of_a_text_are_shown(terminal, capsys):
    terminal.line("a\x1b[2Jb")
    terminal.table("rows", [Row("\x1b]0;title\x07", 1, 1)])
    assert "\x1b" not in (said := capsys.readouterr().out)
    assert "a\\x1b[2Jb" in said


def test_a_backfill_is_a_line_for_each_tenth_and_the_last(terminal, capsys):
    terminal.progress("progress", (Progress(n, 1000, 5.0, n / 5) for n in range(1001)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("0 of 1,000 rows")
    assert lines[-1].startswith("1,000 of 1,000 rows (100%)")
    assert len(lines) == 11


def test_a_slow_backfill_is_a_line_each_few_seconds(terminal, capsys, monkeypatch):
    now = 100.0
    monkeypatch.setattr(plain.time, "monotonic", lambda: now)

    def steps():
        nonlocal now
        for done in range(16):
            yield Progress(done, 1_000_000, 1.0, float(done))
            now += 1.0

    terminal.progress("progress", steps())
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["0", "5", "10", "15"]


def test_an_error_closes_the_backfill(terminal):
    is_closed = False

    def steps():
        nonlocal is_closed
        try:
            yield "no progress"
        finally:
            is_closed = True

    suspended = steps()
    with pytest.raises(AttributeError):
        terminal.progress("progress", suspended)
    assert is_closed


def test_work_is_announced_and_a_build_says_each_phase(terminal, capsys):
    with terminal.working("building") as report:
        for done in (0, 1, 2, 50):
            report(BuildProgress("loading", done, 100))
        report(BuildProgress("waiting", 0, 0))
        report("a text")
    assert capsys.readouterr().out.splitlines() == [
        "building …", "loading 0 of 100", "loading 50 of 100", "waiting", "a text",
    ]  # fmt: skip


def test_a_canary_says_each_step_and_decision(terminal, capsys):
    look = CanaryLook(5, 12, (), WAIT)
    with terminal.working("switching") as report:
        for item in (look, look, replace(look, answers=13), replace(look, decision=ON)):
            report(item)
    assert capsys.readouterr().out.splitlines() == [
        "switching …", "canary: 5 % of the traffic waits, 12 answers",
        "canary: 5 % of the traffic goes on, 12 answers",
    ]  # fmt: skip


def test_a_stream_is_a_line_for_each_item(terminal, capsys):
    terminal.stream([Progress(3, 6, 0.0, 0.0), Row("a", 1, 2)])
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["3 of 6 rows (50%)", "name: a · rows: 1 · size: 2 Bytes"]

"""Commands in a pseudo-terminal, on a real database: nothing is wider than the terminal."""

import fcntl
import math
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from dataclasses import dataclass

import pytest
import yaml
from rich.cells import cell_len

from ragkit.deploy.project_checks import Check
from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.migration.backfill.progress import Progress
from ragkit.migration.schema.index import BuildProgress
from ragkit.runbook.cli.terminal import live
from tests.conftest import PYTHON, environment, make_plan

SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
RED, HIDE_CURSOR = "\x1b[1;31m", "\x1b[?25l"
REASON = "the app's p95 grew from 20 to 61 ms"


def in_terminal(columns, *arguments, code=0, stop_at="", **env):
    """What the command sends to a terminal of so many columns. Ctrl-C is typed once `stop_at` is
    there."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = {"TERM": "xterm-256color", "NO_COLOR": "", **env}
    process = subprocess.Popen(
        [PYTHON, "-m", "ragkit", *map(str, arguments)],
        env=environment(**env), stdin=terminal, stdout=terminal, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    sent, stopped_at = b"", math.inf
    while data := _read(controller):
        sent += data
        if stop_at and stop_at.encode() in sent:
            stop_at, stopped_at = "", time.monotonic()
            process.send_signal(signal.SIGINT)
    os.close(controller)
    assert process.wait(60) == code, sent.decode()
    assert time.monotonic() - stopped_at < 2
    return sent.decode()


def _read(controller):
    try:
        return os.read(controller, 65536)
    except OSError:  # the other end is closed
        return b""


def lines(sent):
    """Each state of each line, without sequences."""
    return [line.rstrip() for line in re.split(r"[\r\n]+", SEQUENCE.sub("", sent))]


@pytest.fixture
def params(database, amenities, tmp_path):
    changes = {"database.url": database.render_as_string(), "table.label": "name"}
    file = tmp_path / "p.yaml"
    file.write_text(yaml.safe_dump(make_plan(changes).model_dump(by_alias=True)))
    return file


@pytest.mark.parametrize("columns", [80, 120])
def test_every_line_fits(params, columns):
    for command in ("inspect", "backfill", "status"):
        sent = in_terminal(columns, command, "--params", params)
        shown = lines(sent)
        fixes = [line for line in shown if re.match(r"  [^ ].*: ", line)]
        assert [line for line in shown if cell_len(line) > columns and line not in fixes] == []
        assert HIDE_CURSOR not in sent  # a command that is killed could not bring it back
        assert "\x1b[" in sent
    assert "phase      backfilled" in shown


def test_a_backfill_ends_with_its_last_line(params):
    shown = lines(in_terminal(120, "backfill", "--params", params))
    last = [line for line in shown if line.startswith("6 of 6 rows (100%)")]
    assert len(last) == 1


def test_ctrl_c_ends_a_live_line_whose_model_hangs(params):
    hanging = ("--set", "new.model=tests.stand_ins.hanging:Hanging")
    sent = in_terminal(
        80, "backfill", "--params", params, *hanging, code=130, stop_at="0 of 6", HANG="1"
    )
    assert "stopped: run this again" in lines(sent)[-2]
    assert "Traceback" not in sent


def test_a_watch_is_redrawn_until_ctrl_c(params):
    sent = in_terminal(80, "status", "--params", params, "--watch", "0.5", stop_at="watching, 2 s")
    assert sent.count("public.Amenities") > 2
    assert max(map(cell_len, lines(sent))) <= 80
    assert "\x1b[1A" in sent  # the lines are drawn over


@pytest.mark.parametrize("name", ["NO_COLOR=1", "TERM=dumb", "PYTHONIOENCODING=ascii"])
def test_plain_lines_where_they_are_wanted_or_nothing_else_can_be_shown(params, name):
    variable, _, value = name.partition("=")
    sent = in_terminal(80, "inspect", "--params", params, **{variable: value})
    assert "\x1b" not in sent
    assert "rows: 6" in sent


def test_an_error_is_one_line(params):
    sent = in_terminal(80, "cutover", "--params", params, code=1)
    assert [line for line in lines(sent) if "Error: " in line]
    assert "Traceback" not in sent


@dataclass
class Wide:
    name: str
    change: Interval
    description: str
    bytes: int


WIDE = [Wide(f"row {n}", Interval(0.1, 0.0, 0.2), "word 漢字 " * 20, n * 1000) for n in range(3)]


@pytest.fixture(params=[40, 80, 120])
def terminal(request, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(request.param))
    return live.LiveTerminal()


def test_tables_of_any_content_fit(terminal, capsys):
    terminal.table("wide", WIDE)
    terminal.record("one", WIDE[0])
    terminal.table("unbroken", [Wide("x" * 300, Interval(0, 0, 0), "", 1)])
    terminal.checks("checks", [Check("long name " * 3, "observed " * 30, None)])
    shown = capsys.readouterr().out
    assert max(map(cell_len, shown.splitlines())) <= terminal.console.width
    assert shown.count("漢字") == 80
    assert shown.count("x") == 300


def test_a_table_is_blocks_where_it_is_too_narrow(capsys, monkeypatch):
    said = {}
    for columns in (30, 120):
        monkeypatch.setenv("COLUMNS", str(columns))
        live.LiveTerminal().table("wide", WIDE)
        said[columns] = capsys.readouterr().out
    assert said[120].count("description") == 1
    assert said[30].count("description") == len(WIDE)


def test_the_live_line_has_every_fact(terminal, capsys):
    step = Progress(12_400, 50_000, 1234.5, 10.0, 0.0012, 3, REASON)
    terminal.progress("progress", (s for s in [step]))
    said = capsys.readouterr().out
    assert max(map(cell_len, said.splitlines())) <= terminal.console.width
    flat = " ".join(said.split())
    assert f"$0.0012, 3 in flight, slowed down: {REASON}" in flat


def test_a_backfill_that_is_silent_says_so(monkeypatch):
    line = live._Line(expects_news=True)
    line.show(Progress(1, 6, 1.0, 1.0))
    console = live.LiveTerminal().console
    with console.capture() as first:
        console.print(line)
    monkeypatch.setattr(live, "SILENT_SECONDS", -1.0)
    with console.capture() as later:
        console.print(line)
    assert "no news" not in first.get()
    assert "no news for 0 s" in later.get()


def test_checks_have_marks_and_what_to_do(terminal, capsys):
    fix = 'GRANT pg_monitor TO "a role with a long name that nobody would choose but somebody did";'
    terminal.checks("checks", [Check("a", "x", True), Check("b", "y", False, fix)])
    said = capsys.readouterr().out
    assert "✓" in said
    assert "✗" in said
    assert fix in said  # in one piece, to be copied
    assert said.splitlines()[-1] == "1 problem"


def test_work_and_a_stream_show_the_newest(terminal, capsys):
    with terminal.working("building") as report:
        report(BuildProgress("loading", 1, 2))
    terminal.stream(WIDE)
    said = capsys.readouterr().out
    assert "row 2" in said
    assert "row 0" not in said
    assert "building" not in said

import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from ragkit.deploy.project_checks import Check
from ragkit.errors import GateError
from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.migration.backfill.progress import Progress
from ragkit.runbook.cli.terminal import open_terminal
from ragkit.runbook.cli.terminal.machine import data


@dataclass
class Item:
    name: str
    change: Interval


def test_every_kind_of_value_has_a_json_form():
    values = {
        "nan": math.nan, "inf": -math.inf, "float": np.float32(0.5), "int": np.int64(3),
        "flag": np.True_, "array": np.array([1.0, math.nan]), "day": date(2026, 11, 25),
        "at": datetime(2026, 11, 25, 9, tzinfo=UTC), "path": Path("a/b"), "none": None,
        3: (1, "x"),
    }  # fmt: skip
    form = data(values)
    assert json.loads(json.dumps(form, allow_nan=False)) == {
        "nan": None, "inf": None, "float": 0.5, "int": 3, "flag": True, "array": [1.0, None],
        "day": "2026-11-25", "at": "2026-11-25T09:00:00+00:00", "path": "a/b", "none": None,
        "3": [1, "x"],
    }  # fmt: skip


def test_a_command_is_one_document_with_its_sections(capsys):
    with open_terminal(True) as terminal:
        terminal.line("a sentence for people")
        terminal.line("column: added", "column")
        terminal.fact("database", "shop")
        terminal.lines("commands", iter(["a", "b"]))
        terminal.record("one", Item("i", Interval(0.1, 0.0, math.inf)))
        terminal.table("none", [])
        terminal.checks("checks", [Check("a", "x", False), Check("b", "y", None, "do")])
        with terminal.working("long") as report:
            report("half")
        terminal.progress("progress", (Progress(n, 2, 1.0, 1.0) for n in range(3)))
        assert capsys.readouterr().out == ""
    document = json.loads(capsys.readouterr().out)
    assert document["column"] == "column: added"
    assert document["commands"] == ["a", "b"]
    assert document["one"] == {"name": "i", "change": {"mean": 0.1, "low": 0.0, "high": None}}
    assert document["none"] == []
    assert [check["passed"] for check in document["checks"]] == [False, None]
    assert (document["problems"], document["warnings"]) == (1, 1)
    assert document["progress"]["done"] == 2
    assert "a sentence" not in str(document)


def test_an_error_is_in_the_document_with_what_was_known_before(capsys):
    with pytest.raises(GateError), open_terminal(True) as terminal:
        terminal.fact("verdict", "NO-GO")
        raise GateError("NO-GO: coverage")
    assert json.loads(capsys.readouterr().out) == {
        "verdict": "NO-GO",
        "error": {"type": "GateError", "message": "NO-GO: coverage"},
    }


def test_a_stop_is_an_error_with_the_way_on(capsys):
    with pytest.raises(KeyboardInterrupt), open_terminal(True):
        raise KeyboardInterrupt
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["type"] == "Stopped"
    assert "run this again" in error["message"]


def test_a_stream_is_a_line_for_each_item_and_for_an_error(capsys):
    with pytest.raises(GateError), open_terminal(True) as terminal:
        terminal.fact("database", "shop")
        terminal.stream(Item(name, Interval(0, 0, 1)) for name in "ab")
        raise GateError("no")
    first, a, b, error = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {"database": "shop"}
    assert [a["name"], b["name"]] == ["a", "b"]
    assert error["error"]["type"] == "GateError"

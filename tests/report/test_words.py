from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from ragkit.deploy.project_checks import Check
from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.migration.backfill.progress import Progress
from ragkit.migration.schema.index import BuildProgress
from ragkit.migration.verdict import Gate
from ragkit.report import words


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("rows", 12_400, "12,400"),
        ("bytes", 524_288, "524.3 kB"),
        ("index_bytes", 2_000_000, "2.0 MB"),
        ("bytes_per_vector", 1544, "1.5 kB"),
        ("usd", 0.0012, "$0.0012"),
        ("usd", 0.000004, "< $0.0001"),
        ("usd", 1234.5, "$1,234.50"),
        ("usd", 0.0, "$0"),
        ("minutes", 3.0, "3 min"),
        ("minutes", 0.06, "3.6 s"),
        ("seconds", 0.42, "0.4 s"),
        ("seconds", 59.7, "60 s"),
        ("seconds", 7_500, "2 h 5 min"),
        ("seconds", 200_000, "2 days 7 h"),
        ("p95_ms", 0.8664, "0.866 ms"),
        ("p95_ms", 1234.5, "1,234 ms"),
        ("overlap", 0.4567, "45.7%"),
        ("new", 0.661, "0.6610"),
        ("spearman", 12_345.678, "1.235e+04"),
        ("valid", True, "yes"),
        ("default", False, "no"),
        ("serving", None, "–"),
        ("at", datetime(2026, 11, 25, 9, 5, tzinfo=UTC), "2026-11-25 09:05:00 UTC"),
        ("change", Interval(0.0461, 0.0192, 0.0744), "0.046 (0.019 to 0.074)"),
    ],
)
def test_a_value_reads_with_its_unit(name, content, text):
    assert words.value(name, content) == text


def test_a_title_is_without_the_unit_that_the_value_has():
    titles = {"old_missing": "old missing", "p95_ms": "p95", "index_bytes": "index size",
              "minutes": "time", "usd": "cost", "not_unit": "not unit"}  # fmt: skip
    assert {name: words.title(name) for name in titles} == titles


def test_a_dataclass_may_say_itself_how_it_reads():
    @dataclass
    class Own:
        a: int

        def facts(self):
            return {"letter": f"a{self.a}"}

    assert words.facts(Own(3)) == {"letter": "a3"}


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (Progress(0, 6, 0.0, 0.0), "0 of 6 rows (0%)"),
        (
            Progress(
                12_400, 50_000, 1234.5, 10.0, 0.0012, 3, "the app's p95 grew from 20 to 61 ms"
            ),
            "12,400 of 50,000 rows (25%), 1,234 rows/s, 30 s to go, $0.0012, 3 in flight, "
            "slowed down: the app's p95 grew from 20 to 61 ms",
        ),
        (
            Progress(50, 100, 10.0, 5.0, workers=3),
            "50 of 100 rows (50%), 10 rows/s, 5 s to go, 3 workers",
        ),
        (Progress(1, 100, 0.25, 4.0), "1 of 100 rows (1%), 0.25 rows/s, 7 min to go"),
        (Progress(6, 6, 3.0, 2.0), "6 of 6 rows (100%), 3 rows/s, in 2 s"),
        (Progress(0, 0, 0.0, 0.0), "0 of 0 rows (100%)"),
    ],
)
def test_the_line_of_a_backfill_has_what_is_known(step, line):
    assert words.progress_line(step) == line


def test_the_line_of_a_build():
    assert words.building_line(BuildProgress("loading", 1_000, 20_000)) == "loading 1,000 of 20,000"
    assert words.building_line(BuildProgress("waiting", 0, 0)) == "waiting"


@pytest.mark.parametrize(
    ("checks", "summary"),
    [
        ([], "no problems"),
        ([Check("a", "x", True), Check("b", "x", None)], "no problems"),
        ([Check("a", "x", None, "do this")], "no problems, 1 warning"),
        (
            [Check("a", "x", False)] * 3 + [Check("b", "x", None, "do")] * 2,
            "3 problems, 2 warnings",
        ),
        ([Gate("g", "1", "2", False), Gate("h", "1", "2", None)], "1 problem, 1 warning"),
    ],
)
def test_checks_and_gates_are_counted(checks, summary):
    assert words.summary(checks) == summary


def test_control_characters_are_shown_and_not_obeyed():
    assert words.clean("a\x1b[2Jb\rc\u202ed\te\n") == "a\\x1b[2Jb\\x0dc\\x202ed\te\n"

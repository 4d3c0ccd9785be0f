"""The parts of the proof that a run relies on: each finds what it is there to find."""

import json
import random

import numpy as np
import pytest

from tests.frameworks import models, report
from tests.frameworks.__main__ import main
from tests.frameworks.frameworks import FRAMEWORKS
from tests.frameworks.oracle import WORDS, Oracle, text_of

QUIET = [text_of(n, random.Random(n)) for n in range(200)]
QUESTION = " ".join(WORDS[:4])


def answer_of(asked, stored, texts=QUIET, k=5):
    """Of a table whose vectors are of `stored`, to an app whose model is `asked`."""
    vectors = np.array(stored.embed_documents(texts))
    near = vectors @ np.array(asked.embed_query(QUESTION))
    return [texts[n] for n in np.argsort(-near)[:k]]


class TestOracle:
    def test_the_nearest_rows_are_right_and_so_are_they_among_others(self):
        oracle = Oracle(QUIET)
        assert oracle.is_right("OLD", QUESTION, answer_of(models.OLD, models.OLD))
        others = [text_of(n, random.Random(n)) for n in range(200, 260)]
        oracle.sent.update(others)
        assert oracle.is_right(
            "OLD", QUESTION, answer_of(models.OLD, models.OLD, [*QUIET, *others])
        )

    def test_vectors_of_another_space_of_the_same_dimension_are_found(self):
        assert models.OLD.dimension == models.TWIN.dimension
        mixed = answer_of(models.OLD, models.TWIN)
        assert not Oracle(QUIET).is_right("OLD", QUESTION, mixed)

    def test_a_nearer_row_that_is_left_out_is_missed(self):
        best = answer_of(models.OLD, models.OLD, k=6)
        assert not Oracle(QUIET).is_right("OLD", QUESTION, best[1:])
        assert not Oracle(QUIET).is_right("OLD", QUESTION, [])

    def test_an_answer_that_is_too_short_is_missed(self):
        """Of a table where most rows have no vector yet, it holds the right ones all the same."""
        best = answer_of(models.OLD, models.OLD)
        assert not Oracle(QUIET).is_right("OLD", QUESTION, best[:4])

    def test_a_row_of_somebody_else_is_found(self):
        best = answer_of(models.OLD, models.OLD)
        assert not Oracle(QUIET).is_right("OLD", QUESTION, ["a secret of ben", *best[:4]])


def test_a_framework_that_nobody_knows_is_no_success(capsys):
    """It would be no line, and so no fault."""
    with pytest.raises(SystemExit) as ended:
        main(["Mem0"])
    assert "Mem0" in str(ended.value)
    assert "mem0" in str(ended.value)


def test_zeros_at_the_end_change_no_order():
    padded = models.PADDED.embed_query(QUESTION)
    assert len(padded) == models.OLD.dimension
    assert not any(padded[48:])


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda f: f.name)
def test_what_changes_of_an_app_is_what_init_says(framework):
    lines = framework.source.read_text().splitlines()
    if framework.packages:
        assert sum(line.endswith("# changes") for line in lines) == len(framework.preset.lines)
        assert len(lines) <= 60
        assert all("==" in requirement for requirement in framework.requirements)


class TestReport:
    def test_the_table_has_a_line_for_each_framework(self, tmp_path):
        found = {"rows": 9, "failed": 0, "way": "view", "lines": 2}
        results = {"mem0": found, "vecs": {"error": "nothing"}}
        written = json.loads(report.write(tmp_path, results).read_text())
        page = tmp_path / "page.md"
        page.write_text("a\n<!-- frameworks -->\nold\n<!-- end of frameworks -->\nb\n")
        for _ in range(2):
            report.write_page(written, page)
        lines = page.read_text().splitlines()
        assert (lines[0], lines[-1]) == ("a", "b")
        assert "| mem0 | 9 | – | 0 | – | – | – | – | view | – | 2 |" in lines
        assert "old" not in lines

    def test_the_page_shows_every_framework_and_only_zeros(self):
        text = report.MARKED.search(report.PAGE.read_text(encoding="utf-8"))[0]
        rows = [line.strip("| ").split(" | ") for line in text.splitlines() if "| " in line]
        header, *rows = (row for row in rows if not row[0].startswith("-"))
        assert header == ["framework", *report.COLUMNS]
        assert [row[0] for row in rows] == [framework.name for framework in FRAMEWORKS]
        for row in rows:
            figures = dict(zip(header, row, strict=True))
            assert {figures[name] for name in report.ZEROS} == {"0"}
            assert int(figures["requests"]) > 100
            assert (figures["way"] == "swap") is (int(figures["paused_ms"]) > 0)

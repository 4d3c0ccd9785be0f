"""A tiny proof has every figure; what is missed is missed for a reason that is said."""

import json

import pytest

from tests.conftest import embedder_of
from tests.cranfield.conftest import DATA
from tests.rescue import report
from tests.rescue.__main__ import main, parser
from tests.rescue.goals import SOUGHT
from tests.rescue.large.passages import NEW_MODEL, OLD_DIMENSION, make, real_texts

NAMES = {
    "pairs", "method", "quality_estimated", "quality_measured", "seconds_to_first_answer",
    "latency_ms", "texts_bought_per_request", "map_ms", "refused", "quality_by_coverage",
}  # fmt: skip
TINY = "--only sandbox real large --questions 12 --sample 12 --states 0 5 --rows 4000"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the Cranfield collection is missing")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    exit_code = main(parser().parse_args([*TINY.split(), "--runs", str(runs)]))
    (folder,) = runs.iterdir()
    return exit_code, json.loads((folder / "rescue.json").read_text())


@pytest.mark.timeout(400)
def test_every_figure_of_the_sandbox_is_there(finished):
    figures = finished[1]
    assert figures.keys() > NAMES
    assert figures["absent"] == {"cranfield": "left out"} or not DATA.exists()
    assert list(figures["goals"]) == [sought.goal.name for sought in SOUGHT]
    states = figures["latency_ms"]["by_rerank"]
    assert set(states) == {"0", "20", "50", "100"}
    assert set(states["20"]) == {"cold", "after 5", "bought_per_request"}
    assert states["20"]["cold"]["filled"] == states["0"]["after 5"]["filled"] == 0
    assert states["20"]["after 5"]["filled"] > 0
    assert states["20"]["cold"]["bought"] > states["0"]["cold"]["bought"] == 0


def test_the_exit_status_says_whether_a_goal_is_missed(finished):
    exit_code, figures = finished
    results = [goal["passed"] for goal in figures["goals"].values()]
    assert exit_code == (False in results)
    assert figures["goals"]["seconds_to_first_answer"]["passed"]
    assert figures["goals"]["random_refused"]["passed"]
    assert figures["command"]["failed_after"] == 0


def test_the_whole_column_is_as_good_as_the_native_search_and_an_empty_one_answers(finished):
    empty, *_, whole = finished[1]["quality_by_coverage"]
    assert (empty["coverage"], whole["coverage"]) == (0, 1)
    assert whole["rescued"]["ratio"]["mean"] == pytest.approx(1, abs=0.02)
    assert whole["rescued"]["bought_per_request"] == empty["native"]["ndcg"]["mean"] == 0
    assert empty["rescued"]["ratio"]["mean"] > 0.3


@needs_data
def test_the_large_table_has_both_ways_at_each_size(finished):
    (table,) = finished[1]["large_table"]["tables"]
    assert table["rows"] == 4000
    assert table["text_index"]
    assert set(table["recall"]["20"]) == {"full text", "bridge", "together"}
    assert set(table["answers"]["together"]) == {"20", "100"}
    shares = [table["recall"][depth]["together"]["mean"] for depth in ("20", "100")]
    assert 0 < shares[0] < shares[1] <= 1


def test_the_tables_go_between_the_markers(finished, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- rescue -->\nold\n<!-- end of rescue -->\nafter\n")
    report.write_page(finished[1], page)
    text = page.read_text()
    assert text.startswith("before\n<!-- rescue -->\n")
    assert text.endswith("<!-- end of rescue -->\nafter\n")
    assert "old" not in text.split("\n")
    assert "| `seconds_to_first_answer` | ≤ 60 |" in text


@needs_data
def test_the_old_vectors_are_those_of_the_smaller_model():
    passages = make(len(real_texts()) + 20)
    smaller = embedder_of("wordllama-64").embed_documents(passages.texts[-20:])
    assert ("wordllama-256", smaller.shape[1]) == (NEW_MODEL, OLD_DIMENSION)
    assert passages.old[-20:] == pytest.approx(smaller, abs=1e-5)

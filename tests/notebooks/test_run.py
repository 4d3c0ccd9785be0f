"""The whole run by papermill, twice."""

import html
import json
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from ragkit.deploy import probe
from ragkit.migration.plan import Plan
from tests.conftest import PYTHON, ROOT, environment, free_port

IN_ORDER = ["00_sandbox", "01_inspect", "02_backfill", "03_compare", "04_cutover", "90_rollback",
            "04_cutover_again", "05_retire"]  # fmt: skip


def command(*arguments, cwd=ROOT, **env):
    return subprocess.run(
        [PYTHON, "-m", *map(str, arguments)], env=environment(**env), cwd=cwd,
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip


@pytest.fixture(scope="module")
def sandbox_env(tmp_path_factory):
    """Where a sandbox of this module's own lives, in a path with a space."""
    home = tmp_path_factory.mktemp("note books") / "home"
    env = {"RAGKIT_SANDBOX": str(home), "RAGKIT_PORT": str(free_port())}
    yield env
    command("ragkit", "sandbox", "remove", **env)


@pytest.fixture(scope="module")
def runs(sandbox_env, tmp_path_factory):
    """Two runs, one after the other: [(process, folder), …]."""
    finished = []
    into = tmp_path_factory.mktemp("runs")
    for _ in range(2):
        process = command("ragkit", "run", "--runs", into, **sandbox_env)
        folder = re.search(r"report:\s+(.*)/index\.html", process.stdout)
        assert folder, process.stdout + process.stderr
        finished.append((process, Path(folder[1])))
    return finished


@pytest.fixture(params=[0, 1], ids=["first", "second"])
def run(request, runs):
    return runs[request.param]


class TestRun:
    def test_it_ends_well_and_says_so(self, run, sandbox_env):
        process, folder = run
        assert process.returncode == 0, process.stdout + process.stderr
        assert "verdict: GO" in process.stdout
        assert f"curl -X POST http://127.0.0.1:{sandbox_env['RAGKIT_PORT']}" in process.stdout
        assert '{"results":[{"description":' in process.stdout
        assert str(folder / "index.html") in process.stdout

    def test_it_leaves_every_notebook_and_page(self, run):
        _, folder = run
        names = {file.name for file in folder.iterdir()}
        for step in IN_ORDER:
            assert {f"{step}.ipynb", f"{step}.html"} <= names
        assert {"verdict.json", "summary.json", "index.html", "timeline.png", "gates.png"} <= names

    def test_it_leaves_the_plan_that_it_used(self, run):
        used = Plan.from_file(run[1] / "plan.yaml")
        assert used == Plan.from_file(ROOT / "params" / "sandbox.yaml")

    def test_the_summary_has_its_figures(self, run):
        summary = json.loads((run[1] / "summary.json").read_text())
        assert summary["verdict"] == "GO"
        assert {"name", "observed", "limit", "passed"} == set(summary["gates"][0])
        assert all(gate["passed"] for gate in summary["gates"])
        figures = summary["figures"]
        assert figures["metrics"]["nDCG@10"]["n"] == 280
        assert {each["kind"] for each in figures["slices"]} == {
            "category", "length", "words",
        }  # fmt: skip
        assert figures["slices_left_out"] == [
            "No slices by language: it is unclear for 181 of 280 judged questions"
        ]

    def test_the_comparison_and_the_verdict_hold_the_same_evidence(self, run):
        compared, decided = (
            json.loads((run[1] / name).read_text()) for name in ("comparison.json", "verdict.json")
        )
        assert compared["verdict"] == decided["verdict"] == "GO"
        assert {name: decided[name] for name in compared if name != "gates"} == {
            name: value for name, value in compared.items() if name != "gates"
        }
        assert decided["answer"]["results"]

    def test_the_page_of_the_comparison_has_its_charts(self, run):
        page = (run[1] / "03_compare.html").read_text()
        for title in (
            "questions gain",
            "slices",
            "of their first 10 rows",
            "rose and",
            "Half of the questions have their rows within",
            "is best at a text weight of",
            "of its 10 nearest rows",
            "of the questions find nothing; in the new space",
            "the new index finds",
        ):
            assert f"{title}" in "".join(re.findall(r'<img alt="([^"]*)"', page)), title
        assert all(alt.endswith(".") for alt in re.findall(r'<img alt="([^"]*)"', page))
        assert "with questions as queries" in page
        assert "The index changes nDCG@10 in the new column by" in page

    def test_no_page_fetches_anything(self, run):
        """Nothing but the run's own pages and pictures; a notebook's own links are plain text."""
        for page in run[1].glob("*.html"):
            text = page.read_text()
            values = re.findall(r"""\b(?:src|href|srcset)\s*=\s*["']?([^"'\s>]+)""", text)
            values += re.findall(r"""url\(\s*["']?([^"')]+)""", text)
            elsewhere = [value for value in values if re.match(r"(?:\w+:)?//", value)]
            assert elsewhere == [], page.name

    def test_the_first_page_tells_the_story(self, run):
        page = (run[1] / "index.html").read_text()
        summary = json.loads((run[1] / "summary.json").read_text())
        for text in (*summary["what_changes"], summary["why"], summary["run"]["table"]):
            assert html.escape(text) in page
        assert set(summary["probe"]["p95_ms_by_model"]) == {"wordllama-256", "all-minilm-l6-v2"}
        for link in re.findall(r'(?:src|href|srcset)="([^"]*)"', page):
            assert (run[1] / link).exists()

    def test_no_page_shows_the_log_of_a_library(self, run):
        assert not [page for page in run[1].glob("*.html") if "INFO:" in page.read_text()]

    def test_the_summary_has_its_times(self, run):
        summary = json.loads((run[1] / "summary.json").read_text())
        assert list(summary["seconds"]) == IN_ORDER
        assert summary["versions"]["pgvector"]

    def test_the_probe_ran_from_before_the_expand_until_after_the_last_cut_over(self, run):
        folder = run[1]
        summary = json.loads((folder / "summary.json").read_text())["probe"]
        seconds = json.loads((folder / "summary.json").read_text())["seconds"]
        assert summary["failed"] == 0
        due = probe.read(folder / "probe.jsonl")["due"]
        watched = due.max() - due.min()
        assert summary["requests"] >= 10 * watched
        assert watched >= 0.9 * sum(s for name, s in seconds.items() if name != "00_sandbox")
        assert {"p50_ms", "p95_ms", "longest_gap_ms"} <= set(summary)
        models = probe.read(folder / "probe.jsonl")["model"]
        switches = [m for m, before in zip(models, [None, *models], strict=False) if m != before]
        assert switches[0] == "wordllama-256"
        assert switches[-1] == "all-minilm-l6-v2"
        assert len(switches) >= 4  # there, back, and there again

    def test_the_verdict_holds_the_answer(self, run):
        verdict = json.loads((run[1] / "verdict.json").read_text())
        assert (verdict["verdict"], verdict["serving"]) == ("GO", "all-minilm-l6-v2")
        assert len(verdict["answer"]["results"]) == 3

    def test_the_pages_hide_inputs_and_show_the_parameters(self, run):
        page = (run[1] / "03_compare.html").read_text()
        assert "decide(" not in page
        assert "run_dir" in page
        assert "What changes" in page
        pages = [file.read_text() for file in run[1].glob("*.html")]
        assert not [text for text in pages if "Traceback" in text]
        assert page.count('src="data:image/png;base64') == 9

    def test_the_bar_is_stored_once(self, run):
        cells = json.loads((run[1] / "02_backfill.ipynb").read_text())["cells"]
        bars = [o for c in cells for o in c.get("outputs", []) if "width:100.0%" in str(o)]
        assert len(bars) == 1

    def test_the_app_still_serves(self, runs, sandbox_env):
        answer = httpx.post(
            f"http://127.0.0.1:{sandbox_env['RAGKIT_PORT']}", json={"name": "restaurants"}
        )
        assert answer.status_code == 200
        assert answer.headers["X-Embedding-Model"] == "all-minilm-l6-v2"

    def test_the_second_says_what_it_starts_afresh(self, runs):
        text = (runs[1][1] / "00_sandbox.ipynb").read_text()
        assert "PostgreSQL was running" in text
        assert "the last migration is complete: starting afresh" in text


def test_a_misspelt_parameter_is_refused_before_anything_runs(sandbox_env, tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("table:\n  nmae: x\n")
    process = command("ragkit", "run", "--params", file, **sandbox_env)
    assert process.returncode == 1
    assert "did you mean table.name" in process.stderr
    assert "00_sandbox" not in process.stdout

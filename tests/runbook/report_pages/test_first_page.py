"""The pages of a run: they tell what there is, fetch nothing from elsewhere, and never run a row's
text."""

import html
import re
import shutil
import subprocess
from dataclasses import dataclass

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from ragkit.migration.verdict import GO, INCONCLUSIVE, NO_GO, Gate, Verdict
from ragkit.report import show
from ragkit.runbook.report_pages.first_page import write_index
from ragkit.runbook.report_pages.notebook_page import write_page
from ragkit.runbook.runbook import Answer
from tests.runbook.report_pages.example_summary import FIGURES, make_summary

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
MARK = "document.title='run'"
HOSTILE = [
    f"<script>{MARK}</script>",
    f"<img src=x onerror=\"{MARK}\">",
    f"\"><svg onload=\"{MARK}\">",
    f"<details open ontoggle=\"{MARK}\">",
    f"</pre><iframe srcdoc=\"<script>parent.{MARK}</script>\"></iframe>",
    f"javascript:{MARK}",
    r"$$\require{enclose}\enclose{circle}{x}$$ and \(y\)",
]  # fmt: skip


@dataclass(frozen=True)
class Row:
    """As a table of rows shows it."""

    name: str
    description: str


@pytest.fixture(scope="module")
def shell():
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


@pytest.fixture(scope="module")
def written(shell, tmp_path_factory):
    """A notebook's page and a first page, both with hostile rows."""
    folder = tmp_path_factory.mktemp("run")
    with capture_output() as captured:
        show.table([Row(text, text) for text in HOSTILE])
        show.record(Row(HOSTILE[0], HOSTILE[1]))
        show.lines(HOSTILE)
        show.note(HOSTILE[1])
    outputs = [nbformat.v4.new_output("display_data", data=o.data) for o in captured.outputs]
    outputs.append(nbformat.v4.new_output("stream", text=captured.stdout + "\n".join(HOSTILE)))
    cell = nbformat.v4.new_code_cell("show.table(rows)", outputs=outputs)
    title = nbformat.v4.new_markdown_cell("# Compare")
    notebook = folder / "03_compare.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[title, cell]), notebook)
    gates = [Gate(text, text, text, False) for text in HOSTILE]
    verdict = Verdict(NO_GO, gates, FIGURES)
    summary = make_summary(verdict, seconds={HOSTILE[0]: 1.0}, override=HOSTILE[1])
    summary["run"] |= {"database": HOSTILE[0], "table": HOSTILE[3], "cost": HOSTILE[1]}
    summary["probe"]["p95_ms_by_model"] = {HOSTILE[2]: 1.0}
    (folder / "timeline.png").touch()
    (folder / "timeline-narrow.png").touch()
    answer = Answer(HOSTILE[0], HOSTILE[1], HOSTILE[2])
    return write_page(notebook), write_index(folder, summary, verdict, answer, HOSTILE)


@pytest.fixture(params=[0, 1], ids=["notebook", "index"])
def page(request, written):
    return written[request.param]


def test_a_page_fetches_nothing(page):
    text = page.read_text()
    fetched = (
        r"""<(?:script|img|iframe|link|source)[^>]+(?:src|href)\s*=\s*["']?(?!data:|#)[^"' >]+"""
    )
    local = ("timeline.png", "timeline-narrow.png")
    found = [tag for tag in re.findall(fetched, text) if not tag.endswith(local)]
    assert found == []
    assert not re.search(r"@import|url\(\s*[\"']?(?:https?:)?//|import\s*\(|from\s+[\"']http", text)
    assert "MathJax" not in text


def test_a_pages_text_is_not_typeset(written):
    notebook = written[0].read_text()
    assert notebook.count('class="mathjax_ignore tex2jax_ignore"') >= 2


GO_VERDICT = Verdict.of([Gate("coverage", "100%", "none pending", True)], FIGURES)


def index(folder, verdict=None, faults=(), **parts):
    """The text of a first page, with one blank for any number, and the page itself."""
    summary = make_summary(verdict, **parts)
    page = write_index(folder, summary, verdict, None, list(faults)).read_text()
    body = page.partition("</style>")[2]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split()), page


def links(page):
    return set(re.findall(r'(?:href|src|srcset)="([^"]*)"', page))


def test_the_head_says_what_was_migrated_the_verdict_and_why(tmp_path):
    text, page = index(tmp_path, GO_VERDICT)
    head = text.partition("What changes for your users")[0]
    assert head.startswith("GO Every one of 1 gates passed; nDCG@10 +0.046")
    for fact in (
        "database shop at db.example.com",
        "table public.amenities",
        "model old-model → new-model",
        "column embedding → embedding_2",
        "started 2026-11-25 21:39 UTC",
        "duration 1 minute and 6 seconds",
        "cost nothing: no model was paid for",
    ):
        assert fact in head
    assert "<title>GO · public.amenities: old-model → new-model" in page


def test_the_app_is_told_by_the_model_that_served(tmp_path):
    probe = {"requests": 90, "failed": 1, "p50_ms": 8.0, "p95_ms": 42.4, "longest_gap_ms": 484.0}
    text, _ = index(tmp_path, probe={**probe, "p95_ms_by_model": {"old": 12.0, "new": 20.4}})
    assert "90 requests were sent, 1 failed; p95 42 ms" in text
    assert "p95 by the model that served: old 12 ms, new 20 ms." in text
    text, _ = index(tmp_path, probe={**probe, "p95_ms_by_model": {}})
    assert "by the model" not in text


def test_a_page_links_only_what_was_written_and_has_no_empty_part(tmp_path):
    stopped = {"notebook": "01_inspect", "reason": "the table public.nothing does not exist"}
    (tmp_path / "00_sandbox.html").touch()
    text, page = index(tmp_path, stopped=stopped, seconds={"00_sandbox": 4.0, "01_inspect": 1.0})
    assert text.startswith("Stopped in 01_inspect the table public.nothing does not exist Mend the")
    assert links(page) == {"00_sandbox.html"}
    for part in ("Gates", "Figures", "What changes", "The app during", "The answer", "page 01_"):
        assert part not in text
    assert page.count("<table") == 1  # the notebooks
    (tmp_path / "01_inspect.html").touch()
    text, page = index(tmp_path, stopped=stopped, seconds={"01_inspect": 1.0})
    assert links(page) == {"01_inspect.html"}
    assert "The page 01_inspect shows where it stopped." in text


def test_a_no_go_is_the_headline_of_the_run_that_it_stopped(tmp_path):
    verdict = Verdict.of([Gate("floor", "0.1", "≥ 0.3", False)], FIGURES)
    stopped = {"notebook": "03_compare", "reason": "NO-GO: floor: 0.1, expected ≥ 0.3"}
    text, _ = index(tmp_path, verdict, ["03_compare stopped: NO-GO"], stopped=stopped)
    assert text.startswith(
        "NO-GO 1 of 1 gates failed: floor: 0.1, expected ≥ 0.3. This run did not switch the app."
    )


def test_a_run_that_stops_after_its_verdict_says_both(tmp_path):
    stopped = {"notebook": "04_cutover", "reason": "the revision did not start"}
    text, page = index(tmp_path, GO_VERDICT, stopped=stopped)
    assert text.startswith("Stopped in 04_cutover the revision did not start The verdict was GO .")
    assert '<h1 class="no">' in page


def test_an_override_and_what_went_wrong_are_told(tmp_path):
    verdict = Verdict.of([Gate("a", "1", "2", None)], FIGURES)
    text, _ = index(tmp_path, verdict, ["the probe: 2 of 9 failed"], override="a <b>reason")
    assert text.startswith(f"{INCONCLUSIVE} 1 of 1 gates could not be decided: a: 1, expected 2.")
    assert "Overridden: a <b>reason the probe: 2 of 9 failed" in text
    assert index(tmp_path)[0].startswith("No verdict database")


def test_an_overlap_that_is_by_necessity_is_not_printed(tmp_path):
    assert "overlap of the first rows" in index(tmp_path, GO_VERDICT)[0]
    forced = Verdict(GO, GO_VERDICT.gates, {**FIGURES, "least_overlap": 0.9})
    assert "overlap of the first rows" not in index(tmp_path, forced)[0]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here to open the page with")
def test_a_browser_runs_nothing_of_a_row(page, tmp_path):
    title = re.search(r"<title>([^<]*)</title>", page.read_text())[1]
    assert html.unescape(title_in_browser(page, tmp_path)) == html.unescape(title)
    raw = tmp_path / "raw.html"  # the browser would run it
    raw.write_text("<!doctype html><title>not run</title>" + HOSTILE[0])
    assert title_in_browser(raw, tmp_path) == "run"


def title_in_browser(page, folder):
    dump = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=3000",
         f"--user-data-dir={folder / 'profile'}", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    return re.search(r"<title>([^<]*)</title>", dump)[1]


def test_a_rehearsals_forecast_is_beside_the_run(tmp_path):
    title = "The rehearsal's forecast"
    assert title not in index(tmp_path, GO_VERDICT)[0]
    rows = [
        {"figures": "forecast", "rows": 1000, "backfill_minutes": 90.0, "usd": 1.5},
        {"figures": "run", "rows": 990, "backfill_minutes": 95.0, "usd": 1.4, "index_bytes": None},
    ]
    text, _ = index(tmp_path, GO_VERDICT, rehearsal=rows)
    assert title in text
    assert "forecast 1,000 – 90 min" in text
    assert "run 990 – 95 min" in text

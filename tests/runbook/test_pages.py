"""The pages of a run: nothing is fetched from elsewhere, and no row's text is ever run."""

import re
import shutil
import subprocess
from dataclasses import dataclass

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from ragkit.deploy.probe import Summary
from ragkit.report import show
from ragkit.runbook import pages
from ragkit.runbook.runbook import Answer

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
    summary = {"verdict": None, "gates": [], "figures": {}, "seconds": {HOSTILE[0]: 1.0},
               "probe": vars(Summary(0, 0, 0.0, 0.0, 0.0)), "versions": {}}  # fmt: skip
    answer = Answer(HOSTILE[0], HOSTILE[1], HOSTILE[2])
    return pages.write_page(notebook), pages.write_index(folder, summary, answer, HOSTILE)


@pytest.fixture(params=[0, 1], ids=["notebook", "index"])
def page(request, written):
    return written[request.param]


def test_a_page_fetches_nothing(page):
    text = page.read_text()
    fetched = (
        r"""<(?:script|img|iframe|link|source)[^>]+(?:src|href)\s*=\s*["']?(?!data:|#)[^"' >]+"""
    )
    local = ("timeline.png", "gates.png")
    found = [tag for tag in re.findall(fetched, text) if not tag.endswith(local)]
    assert found == []
    assert not re.search(r"@import|url\(\s*[\"']?(?:https?:)?//|import\s*\(|from\s+[\"']http", text)
    assert "MathJax" not in text


def test_a_pages_text_is_not_typeset(written):
    notebook = written[0].read_text()
    assert notebook.count('class="mathjax_ignore tex2jax_ignore"') >= 2


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here to open the page with")
def test_a_browser_runs_nothing_of_a_row(page, tmp_path):
    title = re.search(r"<title>([^<]*)</title>", page.read_text())[1]
    assert title_in_browser(page, tmp_path) == title
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

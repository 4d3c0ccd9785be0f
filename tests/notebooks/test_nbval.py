"""Every notebook by nbval from a fresh kernel, and a run that ends in a NO-GO.

With models that are quick, on a sandbox of its own.
"""

import html
import json
import re
import subprocess

import httpx
import pytest
import yaml

from ragkit.migration.plan import Plan
from ragkit.runbook.execute import RESCUED
from tests.conftest import PYTHON, ROOT, environment, few_questions, free_port

QUICK = ["new.model=wordllama-64", "new.column=embedding_64", "rescue.anyway=true",
         "gates.override=one model at two dimensions"]  # fmt: skip


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    return few_questions(tmp_path_factory.mktemp("questions"))


@pytest.fixture(scope="module")
def sandbox_env(tmp_path_factory, questions):
    """The environment of `make lab PARAMS=…`."""
    folder = tmp_path_factory.mktemp("note books")
    judged = f"judging.folder={folder / 'judgements'}"
    plan = Plan.from_file(ROOT / "params" / "sandbox.yaml", [*QUICK, *questions, judged])
    params = folder / "quick.yaml"
    params.write_text(yaml.safe_dump(plan.model_dump(by_alias=True)))
    env = {"RAGKIT_SANDBOX": str(folder / "home"), "RAGKIT_PORT": str(free_port()),
           "RAGKIT_PARAMS": str(params)}  # fmt: skip
    yield env
    command("ragkit", "sandbox", "remove", **env)


def command(*arguments, **env):
    return subprocess.run(
        [PYTHON, "-m", *map(str, arguments)], env=environment(**env), cwd=ROOT,
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip


def test_every_notebook_passes_run_all_from_a_fresh_kernel(sandbox_env):
    """In the order in which they may be used; the rescue before the column is filled."""
    names = ["00_sandbox", *RESCUED, "03b_judge", "90_rollback"]
    assert {*names} == {file.stem for file in (ROOT / "notebooks").glob("*.ipynb")}
    files = [f"notebooks/{name}.ipynb" for name in names]
    result = command("pytest", "--nbval-lax", "-p", "no:cacheprovider", *files, **sandbox_env)
    assert result.returncode == 0, result.stdout
    cells = sum(
        cell["cell_type"] == "code"
        for file in (ROOT / "notebooks").glob("*.ipynb")
        for cell in json.loads(file.read_text())["cells"]
    )
    assert f"{cells} passed" in result.stdout


def test_a_no_go_ends_the_run_with_one_line_and_switches_nothing(sandbox_env, questions, tmp_path):
    """The same model into another column: nothing fails but the floor."""
    changes = ("new.model=wordllama-256", "new.column=embedding_2", "gates.ndcg_floor=0.99",
               *questions)  # fmt: skip
    strict = [word for change in changes for word in ("--set", change)]
    params = ROOT / "params" / "sandbox.yaml"
    process = command(
        "ragkit", "run", "--params", params, *strict, "--runs", tmp_path, **sandbox_env
    )
    assert process.returncode == 1
    assert re.search(r"FAULT: 03_compare stopped: NO-GO: nDCG@10 of the new model", process.stderr)
    assert "Traceback" not in process.stdout + process.stderr
    answer = httpx.post(
        f"http://127.0.0.1:{sandbox_env['RAGKIT_PORT']}", json={"name": "restaurants"}
    )
    assert answer.headers["X-Embedding-Model"] == "wordllama-256"


def test_a_run_that_stops_early_says_where_and_why(sandbox_env, tmp_path):
    """After runs that reached a verdict: their verdict is not this run's."""
    process = command(
        "ragkit", "run", "--params", sandbox_env["RAGKIT_PARAMS"], "--set", "table.label=nmae",
        "--runs", tmp_path, **sandbox_env,
    )  # fmt: skip
    assert process.returncode == 1
    (folder,) = tmp_path.iterdir()
    stopped = json.loads((folder / "summary.json").read_text())["stopped"]
    assert "no column 'nmae'" in stopped["reason"]
    assert f"FAULT: {stopped['notebook']} stopped: {stopped['reason']}" in process.stderr
    page = (folder / "index.html").read_text()
    assert f'<h1 class="open">Stopped in {stopped["notebook"]}</h1>' in page
    assert html.escape(stopped["reason"]).replace("&#x27;", "&#39;") in page
    assert "verdict: –" in process.stdout
    assert not re.search("<h2>(Gates|Figures|What changes)", page)
    links = re.findall(r'(?:src|href|srcset)="([^"]*)"', page)
    assert f"{stopped['notebook']}.html" in links
    assert all((folder / link).exists() for link in links)


def test_a_kernel_that_dies_ends_the_run_with_a_report(sandbox_env, tmp_path):
    changes = ("new.model=tests.stand_ins.deadly:Deadly", "new.column=embedding_3")
    overrides = [word for change in changes for word in ("--set", change)]
    process = command(
        "ragkit", "run", "--params", sandbox_env["RAGKIT_PARAMS"], *overrides, "--runs", tmp_path,
        **sandbox_env,
    )  # fmt: skip
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    (folder,) = tmp_path.iterdir()
    stopped = json.loads((folder / "summary.json").read_text())["stopped"]
    assert stopped == {
        "notebook": "01_inspect",
        "reason": "its process failed (Kernel died): kernels.log may say why, "
        "or the memory ran out",
    }
    page = (folder / "index.html").read_text()
    assert "Stopped in 01_inspect" in page
    links = re.findall(r'(?:src|href|srcset)="([^"]*)"', page)
    assert {"00_sandbox.html", "01_inspect.html"} <= set(links)
    assert all((folder / link).exists() for link in links)

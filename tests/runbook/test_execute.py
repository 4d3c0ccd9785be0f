"""`ragkit run` on an app of somebody else, which a script deploys, with a probe beside it."""

import json
import re
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from ragkit.deploy import probe
from ragkit.migration import phases
from ragkit.migration.plan.app import CheckSection
from ragkit.migration.plan.files.yaml_core import dump_yaml
from ragkit.runbook.notebooks.watch import watch_app
from ragkit.runbook.parameters import Parameters
from tests.conftest import NEW, PYTHON, ROOT, changed, environment
from tests.runbook.conftest import by_script


@pytest.fixture
def run(site, tmp_path):
    """The output and the folder of a run with these changes."""

    def start(**changes):
        plan = by_script(site, gates__override="tested by hand", **changes).plan
        params = tmp_path / "own.yaml"
        params.write_text(dump_yaml(plan.model_dump(by_alias=True)))
        url = site().engine.url.render_as_string()
        done = subprocess.run(
            [PYTHON, "-m", "ragkit", "run", "--params", params, "--runs", tmp_path / "runs"],
            cwd=ROOT, env=environment(DATABASE_URL=url), capture_output=True, text=True,
            check=False, timeout=280,
        )  # fmt: skip
        folder = re.search(r"report:\s+(.*)/index\.html", done.stdout)
        assert folder, done.stdout + done.stderr
        return done, Path(folder[1])

    return start


def test_the_app_is_watched_and_switched(site, run):
    done, folder = run(check__per_second=4.0)
    faults = [line for line in done.stderr.splitlines() if line.startswith("FAULT")]
    assert [line for line in faults if "FAULT: the probe: " not in line] == [], done.stderr
    assert site().migration.phase() == phases.CUT_OVER
    assert json.loads((folder / "verdict.json").read_text())["serving"] == NEW
    requests = probe.read(folder / "probe.jsonl")
    assert len(requests) > 20
    assert requests["error"].isna().mean() > 0.5  # a restart of one process is an outage
    asked = [json.loads(line)["text"] for line in (folder / "questions.jsonl").open()]
    assert len(asked) == len(set(asked)) == 30
    assert (folder / "timeline.png").exists()
    assert f"curl --get {site.app.url}/search" in done.stdout


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"app.url": "http://127.0.0.1:9"}, ["the app is not watched: the app cannot be reached"]),
        ({"check.rows": "hits"}, ["the app is not watched: expected a list at 'hits'"]),
        ({"check.per_second": 0.0}, []),
        ({"app.target": "none"}, []),
    ],
)
def test_an_app_that_cannot_be_watched_hinders_no_run(site, tmp_path, changes, told):
    params = tmp_path / "own.yaml"
    plan = changed(site().plan, changes)
    if plan.app.target == "none":
        plan = plan.model_copy(update={"check": CheckSection()})
    params.write_text(dump_yaml(plan.model_dump(by_alias=True)))
    lines: list[str] = []
    with ExitStack() as stack:
        watch_app(stack, Parameters(params, tmp_path), lines.append)
    assert [line[: len(start)] for line, start in zip(lines, told, strict=True)] == told
    assert not (tmp_path / "probe.jsonl").exists()

"""`ragkit run` on two tables of one app, which a script deploys once."""

import json
import subprocess

import httpx

from ragkit.deploy import probe
from ragkit.migration import phases
from ragkit.migration.plan.files.yaml_core import dump_yaml
from tests.conftest import NEW, PYTHON, ROOT, environment
from tests.migration.tables.conftest import pair

__all__ = ["pair"]


def test_a_run_has_a_verdict_for_each_table_and_switches_once(pair, tmp_path):
    runbooks = pair(gates__override="tested by hand", check__per_second=2.0)
    params = tmp_path / "two.yaml"
    params.write_text(dump_yaml(pair.params))
    done = subprocess.run(
        [PYTHON, "-m", "ragkit", "run", "--params", params, "--runs", tmp_path / "runs"],
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=280,
        env=environment(DATABASE_URL=runbooks[0].engine.url.render_as_string()),
    )  # fmt: skip
    faults = [line for line in done.stderr.splitlines() if line.startswith("FAULT")]
    # a restart of one process is an outage, and nothing else went wrong
    assert [line for line in faults if "FAULT: the probe: " not in line] == [], done.stderr
    assert [runbook.migration.phase() for runbook in runbooks] == [phases.CUT_OVER] * 2
    script_runs = pair.app.log.read_text().splitlines()[1:]
    assert len(script_runs) == 1
    [folder] = (tmp_path / "runs").iterdir()
    page = (folder / "index.html").read_text()
    for name, table in (("1-amenities", "Amenities"), ("2-policies", "Policies")):
        assert f'<a href="{name}/index.html">{table}</a>' in page
        own = folder / name
        assert json.loads((own / "verdict.json").read_text())["serving"] == NEW
        summary = json.loads((own / "summary.json").read_text())
        assert (summary["verdict"], summary["stopped"]) == ("INCONCLUSIVE", None)
        assert (own / "03_compare.html").exists()
        asked = probe.read(own / "probe.jsonl")
        assert len(asked) > 5
    assert httpx.get(f"{pair.app.url}/search/Policies?q=tea").json()["data"]["hits"]


def test_a_table_that_is_stopped_stops_the_switch_of_all(pair, tmp_path):
    missing = {"evaluation": {"questions": "no-such-file.jsonl"}}
    runbooks = pair(entries=({}, missing), gates__override="tested by hand")
    params = tmp_path / "two.yaml"
    params.write_text(dump_yaml(pair.params))
    done = subprocess.run(
        [PYTHON, "-m", "ragkit", "run", "--params", params, "--runs", tmp_path / "runs"],
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=280,
        env=environment(DATABASE_URL=runbooks[0].engine.url.render_as_string()),
    )  # fmt: skip
    assert done.returncode == 1
    assert runbooks[0].migration.phase() == phases.COMPARED
    assert pair.app.log.read_text().splitlines()[1:] == []
    [folder] = (tmp_path / "runs").iterdir()
    page = (folder / "index.html").read_text()
    assert "Policies: 01_inspect stopped: " in page
    assert "no-such-file.jsonl" in page
    assert "not run: the app is switched for all tables, and Policies stopped" in page

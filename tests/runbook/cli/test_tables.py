"""The commands on a params file of two tables, as a person calls them."""

import json
import signal

import pytest

from ragkit.migration.plan.files.yaml_core import dump_yaml
from ragkit.migration.plan.tables.load import plans_of
from tests import commands
from tests.conftest import TEXTS, make_table
from tests.stand_ins.two_tables import two_tables


@pytest.fixture
def params(tmp_path, engine):
    sections = two_tables({"gates.override": "a test", "app.target": "none"})
    for plan in plans_of(sections):
        make_table(engine, plan, TEXTS)
    path = tmp_path / "two.yaml"
    path.write_text(dump_yaml(sections))
    return path


@pytest.fixture
def ragkit(engine, tmp_path):
    url = engine.url.render_as_string()

    def run(*arguments, code=0):
        done = commands.run(*arguments, code=code, cwd=tmp_path, DATABASE_URL=url)
        return done.stdout if code == 0 else commands.output(done)

    return run


def test_one_reviewed_file_runs_all_tables(ragkit, params, tmp_path):
    plan, run = tmp_path / "plan.json", ("--run-dir", tmp_path / "run")
    shown = ragkit("plan", "--params", params, "-o", plan, "--html", tmp_path / "plan.html")
    first, second, whole = (shown.index(s) for s in ("table Am", "table Pol", "all tables:"))
    assert first < second < whole
    assert "rows: 12" in shown
    assert {page.name for page in tmp_path.glob("*.html")} == {
        "plan-1-amenities.html", "plan-2-policies.html",
    }  # fmt: skip
    document = json.loads(plan.read_text())
    assert [part["figures"]["rows"] for part in document["tables"]] == [6, 6]
    refused = ragkit("plan", "--params", params, "--table", "2", "-o", plan, code=1)
    assert "leave out --table" in refused
    assert "2 (Policies)" in ragkit("rescue", "--params", plan, code=1)
    applied = ragkit("apply", plan, *run, code=1)
    assert applied.count("6 of 6 rows") >= 2
    assert applied.count("INCONCLUSIVE") >= 2
    assert "switch the app to" in applied  # by hand: nothing is cut over
    status = json.loads(ragkit("status", "--params", plan, "--json"))["tables"]
    assert {name: table["status"]["phase"] for name, table in status.items()} == {
        "Amenities": "compared", "Policies": "compared",
    }  # fmt: skip
    assert (tmp_path / "run" / "2-policies" / "comparison.json").exists()


def test_a_table_is_chosen_by_name_or_number(ragkit, params):
    assert "migration: public.Policies: " in ragkit("status", "--params", params, "--table", "2")
    said = json.loads(ragkit("status", "--params", params, "--table", "Amenities", "--json"))
    assert said["status"]["total"] == len(TEXTS)
    said = ragkit("status", "--params", params, "--table", "Policy", code=1)
    assert "there is no table 'Policy': choose one of 1 (Amenities), 2 (Policies)" in said
    for command in (("judge",), ("status", "--watch")):
        said = ragkit(*command, "--params", params, code=1)
        assert "this takes one table, and the file holds 2: choose one with --table" in said


def test_every_table_is_compared_and_every_refusal_is_told(ragkit, params):
    strict = ("--params", params, "--set", "gates.override=")
    ragkit("backfill", "--params", params)
    said = ragkit("compare", *strict, code=1)
    [refused] = [line for line in said.splitlines() if line.startswith("GateError: ")]
    assert "Amenities: INCONCLUSIVE" in refused
    assert "; Policies: INCONCLUSIVE" in refused


def test_follow_follows_all_until_it_is_stopped(ragkit, params, engine, tmp_path):
    ragkit("backfill", "--params", params)
    url = engine.url.render_as_string()
    with commands.starting(tmp_path, DATABASE_URL=url) as start:
        process = start("follow", "--json", "--params", params)
        assert json.loads(process.stdout.readline()).keys() == {"tables"}
        seen = {}
        while seen.keys() != {"Amenities", "Policies"}:
            seen = json.loads(process.stdout.readline())["tables"]
        assert {table["done"] for table in seen.values()} == {6}
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert "Traceback" not in process.stderr.read()

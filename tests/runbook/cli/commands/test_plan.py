"""ragkit plan and apply, as a person and a pipeline call them."""

import json

import pytest

from ragkit.migration.plan.files.yaml_core import dump_yaml
from tests import commands
from tests.conftest import TEXTS, make_plan, make_table


@pytest.fixture
def params(tmp_path, engine):
    plan = make_plan({"gates.override": "a test", "app.target": "none"})
    make_table(engine, plan, TEXTS)
    path = tmp_path / "mine.yaml"
    path.write_text(dump_yaml(plan.model_dump(mode="json", by_alias=True)))
    return path


@pytest.fixture
def ragkit(engine, tmp_path):
    url = engine.url.render_as_string()
    return lambda *arguments, code=0: commands.output(
        commands.run(*arguments, code=code, cwd=tmp_path, DATABASE_URL=url)
    )


def test_a_plan_is_shown_saved_applied_and_refused_once_it_no_longer_fits(
    ragkit, params, tmp_path, engine
):
    plan, page = tmp_path / "plan.json", tmp_path / "plan.html"
    shown = ragkit("plan", "--params", params, "-o", plan, "--html", page)
    for text in ("alter table public.\"Amenities\" add column", "ACCESS EXCLUSIVE", "RK050",
                 "no problems", "rows: 6", "index_recall"):  # fmt: skip
        assert text in shown
    assert 'src="http' not in page.read_text() and "What will happen" in page.read_text()
    assert json.loads(plan.read_text())["figures"]["rows"] == len(TEXTS)
    applied = ragkit("apply", plan, "--run-dir", tmp_path / "run", code=1)
    assert "6 of 6 rows" in applied
    assert "switch the app to" in applied  # by hand: nothing is cut over
    assert "it takes no other values" in ragkit(
        "cutover", "--params", plan, "--set", "app.confirmed=me", code=1
    )
    again = ragkit("apply", plan, "--run-dir", tmp_path / "run", code=1)
    assert "was there" in again
    with engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" add column extra int')
    refused = ragkit("apply", plan, code=1)
    assert refused.startswith("DriftError: plan.json no longer fits: column extra is new")
    assert len(refused.splitlines()) == 1
    assert "DriftError" in ragkit("status", "--params", plan, code=1)


def test_what_is_missing_is_a_finding_with_the_line_to_paste(ragkit, params, engine):
    with engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" drop constraint "Amenities_pkey"')
    shown = ragkit("plan", "--params", params, code=1)
    assert "RK001 table" in shown
    assert "key 'id' is not unique and NOT NULL" in shown
    annotated = ragkit("plan", "--params", params, "--format", "github", code=1)
    assert "::error title=RK001 table::key 'id' is not unique" in annotated


def test_annotations_escape_what_github_reads(ragkit, params):
    annotated = ragkit("plan", "--params", params, "--format", "github")
    warnings = [line for line in annotated.splitlines() if line.startswith("::warning")]
    assert any("title=RK050 all columns::" in line and "%0Aname the columns" in line
               for line in warnings)  # fmt: skip


def test_nothing_is_left_to_apply_after_the_cut_over(ragkit, params, tmp_path):
    plan, run = tmp_path / "plan.json", ("--run-dir", tmp_path / "run")
    ragkit("plan", "--params", params, "--set", "app.confirmed=Ana", "-o", plan)
    assert "letters:Letters" in ragkit("apply", plan, *run)
    assert "nothing to do: cut over; watch" in ragkit("apply", plan, *run)

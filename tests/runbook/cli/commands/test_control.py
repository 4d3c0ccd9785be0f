"""ragkit control, which four processes obey."""

import json
import time

import pytest
import sqlalchemy as sa

from ragkit.migration.migration import Migration
from ragkit.migration.plan.files.yaml_core import dump_yaml
from ragkit.migration.schema.expansion import expand
from tests import commands
from tests.conftest import changed, make_plan, make_table

PLACES = [f"Place {n} is a shop. Wool." for n in range(2000)]
WORKERS = 4
OBEYED_SECONDS = 1.0
IN_FLIGHT_SECONDS = 0.4
"""Of a request that was under way: that of the slow model."""


@pytest.fixture
def migration(engine):
    plan = make_plan({
        "new.model": "tests.stand_ins.slow:Slow", "backfill.batch_size": 4,
        "gates.override": "a test", "app.target": "none",
    })  # fmt: skip
    make_table(engine, plan, PLACES)
    migration = Migration.open(plan, engine)
    expand(migration)
    return migration


@pytest.fixture
def params(migration, tmp_path):
    path = tmp_path / "mine.yaml"
    named = changed(migration.plan, {"database.expect": migration.database})
    path.write_text(dump_yaml(named.model_dump(mode="json", by_alias=True)))
    return path


@pytest.fixture
def start(engine, params, tmp_path):
    with commands.starting(tmp_path, DATABASE_URL=engine.url.render_as_string()) as start:
        yield lambda *arguments: start(*arguments, "--params", params)


@pytest.fixture
def control(start):
    def control(*arguments, code=0):
        out, error = (process := start("control", *arguments)).communicate(timeout=60)
        assert process.returncode == code, out + error
        assert "Traceback" not in error
        return out + error

    return control


def count_filled(migration):
    with migration.engine.connect() as connection:
        column = migration.table.c[migration.plan.new.column]
        return connection.scalar(sa.select(sa.func.count(column)).select_from(migration.table))


def test_four_workers_are_paused_resumed_and_stopped(migration, start, control):
    workers = [start("backfill") for _ in range(WORKERS)]
    deadline = time.monotonic() + 60
    while count_filled(migration) < 50:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    shown = json.loads(control("pause", "--json"))["control"]
    assert shown["paused"] is True
    time.sleep(OBEYED_SECONDS + IN_FLIGHT_SECONDS)
    filled = count_filled(migration)
    time.sleep(1.5)
    assert count_filled(migration) == filled < len(PLACES)
    status = start("status", "--json").communicate(timeout=60)[0]
    assert json.loads(status)["status"]["control"].startswith("paused (by ")
    control("resume")
    deadline = time.monotonic() + 10
    while count_filled(migration) == filled:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    control("stop")
    for worker in workers:
        error = worker.communicate(timeout=10)[1]
        assert worker.returncode == 1
        assert "Stopped: stopped by" in error
    with migration.engine.connect() as connection:
        held = "select count(*) from ragkit.claim where worker in (select id from ragkit.worker)"
        assert connection.scalar(sa.text(held)) == 0


def test_settings_are_shown_and_what_means_nothing_is_refused(migration, control):
    assert "in_flight: 3" in control("in-flight", "3").replace("in flight", "in_flight")
    assert "22:00-06:00 Europe/Berlin" in control("window", "22:00-06:00", "Europe/Berlin")
    assert json.loads(control("slower", "--json"))["control"]["pace"] == 0.5
    assert json.loads(control("--json"))["control"]["window"] == "22:00-06:00 Europe/Berlin"
    for arguments, said in {
        ("in-flight", "many"): "expected 1 to 256, or plan",
        ("in-flight", "0"): "expected 1 to 256",
        ("window", "night"): "expected hours such as",
        ("window", "1:00-2:00", "Mars/Olympus"): "knows no time zone",
        ("pause", "now"): "takes no value",
        ("hurry",): "hurry",
    }.items():
        assert said in control(*arguments, code=2 if arguments[0] in ("pause", "hurry") else 1)
    assert json.loads(control("reset", "--json"))["control"]["pace"] == 1


def test_a_cut_over_that_is_postponed_is_refused(migration, control, start):
    control("postpone-cutover")
    with migration.engine.begin() as connection:
        connection.exec_driver_sql("update ragkit.migration set phase = 'compared'")
    error = start("cutover", "--set", "app.confirmed=me").communicate(timeout=60)[1]
    assert "postponed by" in error
    control("allow-cutover")
    error = start("cutover", "--set", "app.confirmed=me").communicate(timeout=60)[1]
    assert "postponed" not in error

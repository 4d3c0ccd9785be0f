"""Ctrl-C and SIGTERM end a command in 2 seconds, whatever it waits for; another run goes on."""

import signal
import subprocess
import time

import pytest
import yaml

from tests.conftest import PYTHON, ROLE, TEXTS, column_of, environment, make_plan
from tests.stand_ins import silent

STOP_SECONDS = 2.0


@pytest.fixture
def proxy(database):
    with silent.serving(database.query["unix_sock"]) as proxy:
        yield proxy


@pytest.fixture
def params(proxy, database, tmp_path):
    """Of the test's table, over TCP."""
    return write_params(proxy, database, tmp_path)


@pytest.fixture
def hanging(proxy, database, amenities, tmp_path):
    """The same with a model that can hang."""
    changes = {"new.model": "tests.stand_ins.hanging:Hanging", "index.type": "none"}
    return write_params(proxy, database, tmp_path, changes)


def write_params(proxy, database, folder, changes=None):
    host, port = proxy.address
    name = database.database.replace(" ", "%20")
    url = f"postgresql+pg8000://{ROLE}@{host}:{port}/{name}"
    plan = make_plan({"database.url": url, **(changes or {})})
    file = folder / "p.yaml"
    file.write_text(yaml.safe_dump(plan.model_dump(by_alias=True)))
    return file


def start(command, params, *more, **env):
    return subprocess.Popen(
        [PYTHON, "-m", "ragkit", command, "--params", params, *more],
        env=environment(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def stop(process, number):
    """How long it took, in seconds, and what it said."""
    sent = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    return time.monotonic() - sent, said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_backfill_whose_model_hangs(hanging, migration, number):
    process = start("backfill", hanging, HANG="1")
    assert process.stdout.readline().startswith("database: ")
    wait_for_line(process, "0 of 6 rows")
    time.sleep(0.3)  # the first batch is with the model
    seconds, said = stop(process, number)
    assert seconds < STOP_SECONDS
    assert said.strip() == "stopped: run this again, it continues from where it was"
    assert process.returncode == 130
    again = start("backfill", hanging)
    out, said = again.communicate(timeout=60)
    assert again.returncode == 0, said
    assert "6 of 6 rows" in out
    assert len(column_of(migration.engine, migration, "new vector")) == len(TEXTS)


@pytest.mark.parametrize("silence", [False, True], ids=["a database that answers", "a silent one"])
def test_a_follower(params, filled, proxy, silence):
    process = start("follow", params)
    wait_for_line(process, "6 of 6 rows")
    if silence:
        proxy.talking.clear()
        time.sleep(6)  # its next look at the table is under way
    seconds, said = stop(process, signal.SIGTERM)
    assert seconds < STOP_SECONDS
    assert process.returncode == (128 + signal.SIGTERM if silence else 0), said


def test_a_status_that_waits_for_a_silent_database(params, proxy):
    proxy.talking.clear()
    process = start("status", params)
    time.sleep(3)
    seconds, said = stop(process, signal.SIGINT)
    assert seconds < STOP_SECONDS
    assert "stopped" in said


def wait_for_line(process, start_of_line):
    for line in process.stdout:
        if line.startswith(start_of_line):
            return
    pytest.fail(f"{start_of_line!r} was not printed: {process.stderr.read()}")

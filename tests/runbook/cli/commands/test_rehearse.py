"""ragkit rehearse, as a process of its own: what it prints, and what a kill leaves."""

import json
import os
import signal
import time

import pytest
import sqlalchemy as sa

from ragkit.migration.plan.files.yaml_core import dump_yaml
from tests import commands
from tests.conftest import make_plan
from tests.runbook.rehearsal.conftest import ROWS, leftovers, make_places, seen

__all__ = ["leftovers", "seen"]  # fixtures


@pytest.fixture
def start(engine, tmp_path):
    params = tmp_path / "mine.yaml"
    make_places(engine, make_plan())
    with commands.starting(tmp_path, DATABASE_URL=engine.url.render_as_string()) as start:

        def start_with(*arguments, **changes):
            settings = {"backfill.batch_size": 4, "app.target": "none"}
            settings |= {name.replace("__", "."): value for name, value in changes.items()}
            plan = make_plan(settings)
            params.write_text(dump_yaml(plan.model_dump(mode="json", by_alias=True)))
            return start("rehearse", *arguments, "--params", params)

        yield start_with


@pytest.fixture
def rehearse(start, tmp_path):
    def run(*arguments, code=0, **changes):
        process = start(*arguments, "--run-dir", str(tmp_path / "run"), **changes)
        out, error = process.communicate(timeout=90)
        assert process.returncode == code, out + error
        assert "Traceback" not in error
        return out + error

    return run


def wait_for_filled(engine, rows):
    """Until so many rows of the copy have a vector."""
    query = 'select count("new vector") from ragkit_rehearsal."Amenities"'
    deadline, found = time.monotonic() + 60, 0
    while found < rows:
        assert time.monotonic() < deadline
        time.sleep(0.1)
        with engine.connect() as connection:
            try:
                found = connection.scalar(sa.text(query))
            except sa.exc.ProgrammingError:  # not there yet
                found = 0


def test_its_figures_are_printed_and_written(rehearse, seen, leftovers, tmp_path):
    before = seen()
    said = json.loads(rehearse("--share", "0.7", "--json"))
    written = json.loads((tmp_path / "run" / "rehearsal.json").read_text())
    assert said["written"] == str(tmp_path / "run" / "rehearsal.json")
    assert said["measured"]["rows"] == written["rows"] == said["sample"]["rows"]
    assert written["forecast"] == said["forecast"]
    assert said["forecast"]["rows"] == pytest.approx(ROWS, abs=1)
    assert written["rows_per_second"] > 0
    assert written["recall"]["low"] <= written["recall"]["mean"] <= written["recall"]["high"]
    assert written["neighbours"]["low"] < written["neighbours"]["high"]
    assert written["verdict"] in ("GO", "NO-GO", "INCONCLUSIVE")
    assert seen() == before
    assert leftovers() == []
    assert "nothing was left" in rehearse("--clean")


def test_without_a_run_folder_it_makes_one_of_its_own():
    from ragkit.runbook.cli.commands.rehearse import _folder
    from ragkit.runbook.parameters import run_folder
    from ragkit.runbook.runbook import Runbook

    folder = _folder(Runbook(make_plan(), run_folder("")))
    assert folder.parent == run_folder("").parent
    assert folder.name.endswith("Z-rehearsal")


@pytest.mark.parametrize("way", ["the next one", "--clean"])
def test_what_a_killed_one_leaves_is_removed(way, engine, start, rehearse, seen, leftovers):
    before = seen()
    killed = start("--share", "1", new__model="tests.stand_ins.slow:Slow")
    wait_for_filled(engine, 20)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert leftovers()
    if way == "--clean":
        assert "removed: a rehearsal of public.Amenities" in rehearse("--clean")
    else:
        assert "had not ended: it is removed" in rehearse("--share", "1", new__column="other")
    assert leftovers() == []
    assert seen() == before


def test_one_that_runs_is_not_disturbed_and_a_signal_ends_it(engine, start, rehearse, leftovers):
    first = start("--share", "1", new__model="tests.stand_ins.slow:Slow")
    wait_for_filled(engine, 20)
    for arguments in (("--share", "1"), ("--clean",)):
        assert "is running; wait for its end" in rehearse(*arguments, code=1)
    first.send_signal(signal.SIGINT)
    out, error = first.communicate(timeout=20)
    assert first.returncode == 130, out + error
    rehearse("--clean")
    assert leftovers() == []

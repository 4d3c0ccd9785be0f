"""A tiny benchmark has every figure, and leaves nothing behind."""

import json
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.bench.__main__ import PARTS, SERVING, main, parser
from tests.bench.figures import GOALS
from tests.bench.scenarios import Sizes
from tests.conftest import PYTHON, ROOT, environment

TINY = Sizes(limit=200, table=200, slow=50, live=200, growth=(100, 200), bulk=200)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    parts = [part for part in PARTS if part not in SERVING]
    options = ["--repetitions", "1", "--seconds", "1", "--runs", str(folder), "--only", *parts]
    exit_code = main(parser().parse_args(options), TINY)
    (run_dir,) = folder.iterdir()
    return exit_code, run_dir, json.loads((run_dir / "bench.json").read_text())


def test_every_figure_of_the_database_is_there(finished):
    exit_code, run_dir, report = finished
    names = [goal.name for goal in GOALS if not goal.name.startswith(SERVING)]
    assert list(report["figures"]) == names
    assert exit_code == 0
    assert (run_dir / "bench.png").exists()


def test_a_figure_has_a_value_or_a_reason(finished):
    for name, figure in finished[2]["figures"].items():
        if figure["passed"] is None:
            assert "side table" in figure["reason"] or "vecshift" in figure["reason"], name
        else:
            assert figure["values"] == [figure["median"]] and figure["median"] > 0, name
            assert "rows/s" in figure["reason"], name


def test_a_ratio_is_that_of_its_runs(finished):
    report = finished[2]

    def rate(part: str, contender: str) -> float:
        runs = report["runs"][part]
        (measured,) = (run["measured"] for run in runs if run["contender"] == contender)
        return measured["rows"] / measured["seconds"]

    figures = {name: figure["median"] for name, figure in report["figures"].items()}
    assert figures["backfill_vs_naive"] == rate("no-index", "column") / rate("no-index", "naive")
    longer = rate("bulk-insert", "without") / rate("bulk-insert", "with triggers")
    assert figures["bulk_insert_with_triggers"] == longer
    growth = rate("growth", "small") / rate("growth", "large")
    assert figures["cost_per_row_growth"] == growth


def test_peak_memory_is_that_of_the_script(finished):
    """Not that of the process which started it, which has made the tables."""
    runs = finished[2]["runs"]["no-index"]
    peaks = {run["contender"]: run["measured"]["peak_mb"] for run in runs}
    assert 10 < peaks["naive"] < peaks["column"] / 1.5  # the one imports two packages


@pytest.fixture
def open_folder():
    """For temporary files of a server that runs under another account."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_a_stopped_benchmark_leaves_nothing_behind(open_folder, tmp_path):
    command = [PYTHON, "-m", "tests.bench", "--only", "growth", "--runs", tmp_path]
    env = environment(TMPDIR=str(open_folder))
    process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert "round 1" in process.stdout.readline()
    (socket,) = open_folder.glob("ragkit-*/.s.PGSQL.5432")
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert not list(open_folder.iterdir())
    assert not (Path("/var/tmp") / socket.parent.name).exists()

"""Scripts of a user's as real processes: how they end, and what is said of it."""

import os
import time
from pathlib import Path

import psutil
import pytest

from ragkit.deploy.own_app.run_script import run_script
from ragkit.errors import DeployError


def run(script: str, tmp_path: Path, seconds: float = 20.0, **env: str) -> None:
    run_script("app.deploy", ["sh", "-c", script], {**os.environ, **env}, seconds, tmp_path)


def test_it_runs_in_the_folder_with_the_environment(tmp_path):
    run('echo "$RAGKIT_COLUMN" > told', tmp_path, RAGKIT_COLUMN="a column; with $signs")
    assert (tmp_path / "told").read_text() == "a column; with $signs\n"


def test_an_app_that_it_starts_keeps_nobody_waiting(tmp_path):
    """With a pipe for its output, the end of the script would not be the end of the wait."""
    start = time.monotonic()
    run("sleep 30 & echo $! > pid", tmp_path)
    assert time.monotonic() - start < 5
    child = psutil.Process(int((tmp_path / "pid").read_text()))
    assert child.is_running()
    child.kill()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo one; echo 'rollout failed' >&2; echo; exit 3", "exit code 3: rollout failed"),
        ("exit 2", "exit code 2 without a word"),
        ("kill -9 $$", "exit code -9"),
        ("yes 'long line' | head -c 1000000; printf last; exit 1", "exit code 1: .*last$"),
    ],
)
def test_a_failure_has_the_last_line(tmp_path, script, message):
    with pytest.raises(DeployError, match=f"app.deploy failed with {message}") as error:
        run(script, tmp_path)
    assert len(str(error.value)) < 400


def test_a_secret_that_it_prints_is_not_repeated(tmp_path):
    url = "postgresql+pg8000://u:canary%2Ftwo@h/d"
    with pytest.raises(DeployError) as error:
        run('echo "$DB_PASS canary/two $DATABASE_URL"; exit 1', tmp_path, DB_PASS="canary-one",
            DATABASE_URL=url)  # fmt: skip
    assert str(error.value) == "app.deploy failed with exit code 1: *** *** ***"


def test_at_the_deadline_its_processes_are_killed(tmp_path):
    with pytest.raises(DeployError, match=r"did not end within 0\.5 s, and was killed"):
        run("sleep 60 & echo $! > pid; wait", tmp_path, 0.5)
    child = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while psutil.pid_exists(child) and time.monotonic() < deadline:
        if psutil.Process(child).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    assert not psutil.pid_exists(child)


@pytest.mark.parametrize("mode", [None, 0o600])
def test_what_cannot_be_run_is_one_line(tmp_path, mode):
    if mode:
        (tmp_path / "deploy.sh").touch(mode)
    with pytest.raises(DeployError, match=r"cannot run \./deploy\.sh: .*relative path starts at"):
        run_script("app.deploy", ["./deploy.sh"], dict(os.environ), 5, tmp_path)

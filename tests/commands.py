"""Commands of ragkit as a person runs them: real processes, by the Python of this checkout."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import PYTHON, environment

Start = Callable[..., subprocess.Popen[str]]


def run(
    *arguments: object, code: int = 0, cwd: Path | None = None, seconds: float = 120, **env: str
) -> subprocess.CompletedProcess[str]:
    """One that ends, with this `code` and no traceback. `env` is added to the environment."""
    done = subprocess.run(
        [PYTHON, "-m", "ragkit", *map(str, arguments)], check=False, cwd=cwd,
        env=environment(**env), capture_output=True, text=True, timeout=seconds,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done


def output(done: subprocess.CompletedProcess[str]) -> str:
    """All that it said."""
    return done.stdout + done.stderr


@contextmanager
def starting(cwd: Path, **env: str) -> Iterator[Start]:
    """Starts commands, with pipes, which do not outlive it; `env` of one comes after that of
    all."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, **more: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [PYTHON, "-m", "ragkit", *map(str, arguments)], cwd=cwd,
            env=environment(**env | more), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.communicate()

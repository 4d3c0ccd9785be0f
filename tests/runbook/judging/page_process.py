"""`ragkit judge` as a process."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import PYTHON


def start_judging(
    params: Path, env: Mapping[str, str], *options: str
) -> tuple[subprocess.Popen, str, str]:
    """The process, the address that it prints, and the line with it."""
    process = subprocess.Popen(
        [PYTHON, "-m", "ragkit", "judge", "--params", str(params), *options],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stdout:
        if address := re.search(r"http://127\.0\.0\.1:\d+/\S+/", line):
            return process, address[0], line
    raise AssertionError(process.communicate())


@contextmanager
def judge_page(params: Path, env: Mapping[str, str]) -> Iterator[str]:
    """The address of the page, while it is served."""
    process, address, _ = start_judging(params, env)
    try:
        yield address
    finally:
        process.terminate()
        process.communicate(timeout=10)

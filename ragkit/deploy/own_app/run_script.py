"""Runs a script of the user's, which may leave an app running in the background."""

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from ragkit.errors import DeployError

TAIL_BYTES, LINE_CHARACTERS = 4000, 300
"""Of the output: what is read, and what a message shows of its last line."""
SECRETS = ("DB_PASS", "DATABASE_URL")
"""Variables whose values no message shows, though a script may print them."""


def run_script(
    name: str, words: Sequence[str], env: Mapping[str, str], seconds: float, folder: Path
) -> None:
    """Raises DeployError with the last line of the output; `name` is what the message calls it.

    The output goes to a file: a pipe would stay open for as long as an app that the script has
    started. At the deadline the script's whole process group is killed.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                words, env=dict(env), cwd=folder, stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise DeployError(
                f"{name} cannot run {shlex.quote(words[0])}: {error.strerror}; "
                f"a relative path starts at {folder}"
            ) from None
        try:
            code = process.wait(seconds)
        except BaseException as error:  # the stop button too leaves no script behind
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise DeployError(f"{name} did not end within {seconds:g} s, and was killed") from None
        if code:
            last = _last_line(output.seek(0, os.SEEK_END), output.fileno())
            said = f": {_without_secrets(last, env)}" if last else " without a word"
            raise DeployError(f"{name} failed with exit code {code}{said}")


def _last_line(size: int, file: int) -> str:
    tail = os.pread(file, TAIL_BYTES, max(0, size - TAIL_BYTES)).decode("utf-8", "replace")
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    return lines[-1][:LINE_CHARACTERS] if lines else ""


def _without_secrets(line: str, env: Mapping[str, str]) -> str:
    for name in SECRETS:
        for secret in filter(None, (env.get(name), _password(env.get(name, "")))):
            line = line.replace(secret, "***")
    return line


def _password(url: str) -> str | None:
    try:
        return make_url(url).password
    except ArgumentError:
        return None

"""The gcloud command line: run one command, or read one's JSON."""

import json
import shlex
import subprocess
from collections.abc import Sequence

from ragkit.errors import DeployError

NOT_FOUND = ("NOT_FOUND", "could not be found", "Cannot find service")


def shell(arguments: Sequence[str]) -> str:
    """The line a person would type."""
    return shlex.join(["gcloud", *arguments])


def run(*arguments: str) -> str:
    """What it printed. Raises DeployError with gcloud's last line."""
    try:
        done = subprocess.run(
            ["gcloud", *arguments, "--quiet"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise DeployError("gcloud is not installed here: see cloud.google.com/sdk") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        verb = " ".join(arguments[:3])
        raise DeployError(f"gcloud {verb} failed: {lines[-1] if lines else done.returncode}")
    return done.stdout


def read(*arguments: str) -> object | None:
    """The JSON that a describe or list command answers; None when there is no such thing."""
    try:
        return json.loads(run(*arguments, "--format=json"))
    except DeployError as error:
        if any(mark in str(error) for mark in NOT_FOUND):
            return None
        raise
    except ValueError:
        raise DeployError(f"gcloud {' '.join(arguments[:3])} printed no JSON") from None

"""The gcloud command line: run one command, or read a command's JSON."""

import json
import shlex
import subprocess
from collections.abc import Sequence
from typing import Any

from ragkit.errors import DeployError

NOT_FOUND = ("NOT_FOUND", "could not be found", "Cannot find service")
TIMEOUT_SECONDS = 1200.0
"""A deployment builds an image, which takes minutes."""


def shell_line(arguments: Sequence[str]) -> str:
    """The line that a person would type."""
    return shlex.join(["gcloud", *arguments])


def run(*arguments: str, seconds: float = TIMEOUT_SECONDS) -> str:
    """The command's output, within `seconds`. Raises DeployError with gcloud's last line."""
    command = " ".join(arguments[:3])
    try:
        result = subprocess.run(
            ["gcloud", *arguments, "--quiet"],
            capture_output=True, text=True, check=False, timeout=seconds,
        )  # fmt: skip
    except FileNotFoundError:
        raise DeployError("gcloud is not installed here: see cloud.google.com/sdk") from None
    except subprocess.TimeoutExpired:
        raise DeployError(f"gcloud {command} did not end in {seconds:g} s") from None
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        raise DeployError(f"gcloud {command} failed: {lines[-1] if lines else result.returncode}")
    return result.stdout


def read(*arguments: str, seconds: float = TIMEOUT_SECONDS) -> Any:
    """The JSON of a describe, list or read command; None when there is no such resource."""
    try:
        return json.loads(run(*arguments, "--format=json", seconds=seconds))
    except DeployError as error:
        if any(mark in str(error) for mark in NOT_FOUND):
            return None
        raise
    except ValueError:
        raise DeployError(f"gcloud {' '.join(arguments[:3])} printed no JSON") from None

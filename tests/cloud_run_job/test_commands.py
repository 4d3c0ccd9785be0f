"""The gcloud lines of the page, by an installed gcloud: commands and flags that it has."""

import re
import shlex
import shutil
import subprocess
from functools import cache

import pytest

from tests.test_docs import ROOT, Page

GCLOUD = shutil.which("gcloud")
PAGE = Page(ROOT / "docs" / "cloud-run-job.md")
LINES = [
    line.strip() for line in PAGE.commands() if line.strip().startswith("gcloud ") and " -" in line
]

pytestmark = pytest.mark.skipif(GCLOUD is None, reason="no gcloud here")


@cache
def help_of(words: tuple[str, ...]) -> str:
    done = subprocess.run(
        [GCLOUD, *words, "--help"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return re.sub(r"\x1b\[[\d;]*m|.\x08", "", done.stdout)


def split(line: str) -> tuple[tuple[str, ...], list[str]]:
    """The command's words, without its arguments, and its flags."""
    words = shlex.split(line)[1:]
    flags = [word.partition("=")[0] for word in words if word.startswith("--")]
    plain = [word for word in words if not word.startswith("--")]
    depth = {"artifacts": 3, "builds": 2, "secrets": 2, "iam": 3, "projects": 2, "logging": 2}
    is_group = plain[:3] == ["run", "jobs", "executions"]
    return tuple(plain[: 4 if is_group else depth.get(plain[0], 3)]), flags


def test_there_are_lines_to_check():
    assert {split(line)[0][:3] for line in LINES} >= {
        ("run", "jobs", "create"), ("run", "jobs", "execute"), ("run", "jobs", "update"),
    }  # fmt: skip


@pytest.mark.parametrize("line", LINES, ids=lambda line: " ".join(split(line)[0]))
def test_gcloud_has_the_command_and_its_flags(line):
    words, flags = split(line)
    told = help_of(words)
    for flag in flags:
        assert re.search(rf"{flag}\b", told), (words, flag)

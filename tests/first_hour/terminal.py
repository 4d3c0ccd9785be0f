"""A person at a terminal: types commands, answers questions, and keeps what was seen."""

import re
import time
from pathlib import Path

import pexpect

from tests.conftest import PYTHON, ROOT

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SECONDS = 240


class Person:
    """`seen`: for each command the line, what it printed, its exit code and its seconds;
    `answered`: the questions."""

    def __init__(self, env: dict[str, str]):
        self._env = {**env, "TERM": "dumb", "COLUMNS": "100"}
        self.seen: list[tuple[str, str, int, float]] = []
        self.answered: list[str] = []

    def types(self, line: str, answers: dict[str, str] | None = None) -> str:
        """Runs `python -m ragkit …`; `answers` are by a part of the question. What it printed."""
        _, _, _, *words = line.split()
        start = time.monotonic()
        child = pexpect.spawn(
            PYTHON, ["-m", "ragkit", *words], env=self._env, cwd=str(ROOT), timeout=SECONDS,
            encoding="utf-8", dimensions=(50, 100),
        )  # fmt: skip
        output, waiting = "", dict(answers or {})
        while True:
            found = child.expect([*map(re.escape, waiting), pexpect.EOF])
            output += child.before
            if found == len(waiting):
                break
            question = list(waiting)[found]
            output += child.after
            self.answered.append(question)
            child.sendline(waiting.pop(question))
        child.close()
        text = ANSI.sub("", output).replace("\r\n", "\n").replace("\r", "\n").strip("\n")
        self.seen.append((line, text, child.exitstatus, time.monotonic() - start))
        return text

    @property
    def exit_code(self) -> int:
        """Of the last command."""
        return self.seen[-1][2]


def grants(text: str) -> list[str]:
    """SQL that a command printed to be pasted."""
    flat = " ".join(text.split())
    return re.findall(r"(?:GRANT|ALTER ROLE) [^;]+;", flat)


def shortened(path: Path) -> str:
    return str(path.relative_to(ROOT))

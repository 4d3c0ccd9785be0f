"""A folder of judgements: one file of JSON lines for each judge, so that two never write the same.

A line is written whole and is on disk before the next question is shown. What a crash leaves of a
line is no line: it is cut off before the next one is written, and passed over by readers.
"""

import fcntl
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from operator import itemgetter
from pathlib import Path

from ragkit.errors import ConfigError
from ragkit.evaluation.judging.record.lines import READER, Line

log = logging.getLogger(__name__)
SUFFIX = ".judge.jsonl"
LOCK_SECONDS = 5.0
"""Another process of the same judge writes for some milliseconds only."""
MAX_NAME = 80


@dataclass(frozen=True)
class Journal:
    """Everything that was judged in a folder. `lines` are in order of time, and those of a file in
    its own order whatever its clock did; `unreadable` names the places of what is no line."""

    lines: list[Line] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def judge_file(folder: Path, judge: str) -> Path:
    """Raises ConfigError for a name that is none."""
    if not judge.strip() or len(judge) > MAX_NAME or not judge.isprintable():
        raise ConfigError(f"expected the judge's name, up to {MAX_NAME} characters, got {judge!r}")
    name = re.sub(r"[^\w-]+", "-", judge)
    if name != judge:  # another name may become the same
        name += "-" + sha256(judge.encode()).hexdigest()[:6]
    return folder / f"{name}{SUFFIX}"


def append(folder: Path, *lines: Line) -> None:
    """Lines of one judge. Raises ConfigError when they cannot be kept; then none of them is."""
    file = judge_file(folder, lines[0].judge)
    content = "".join(f"{line.model_dump_json()}\n" for line in lines).encode()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(file) as descriptor:
            end = _repair(descriptor, file)
            try:
                _write(descriptor, content)
            except OSError:
                os.ftruncate(descriptor, end)
                raise
    except OSError as error:
        raise ConfigError(
            f"the judgement was not kept, cannot write {file}: {error.strerror or error}"
        ) from None


def read_journal(folder: Path) -> Journal:
    """Of all judges. A folder that is not there is an empty one. Raises ConfigError."""
    timed: list[tuple[datetime, Line]] = []
    unreadable: list[str] = []
    for file in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ConfigError(f"cannot read {file}: {type(error).__name__}") from None
        texts, newest = content.split(b"\n"), datetime.min.replace(tzinfo=UTC)
        for number, text in enumerate(texts, 1):
            try:
                line = READER.validate_json(text)
            except ValueError:
                if text.strip() and number < len(texts):  # the last one may be torn
                    unreadable.append(f"{file.name} line {number}")
            else:
                newest = max(newest, line.at)
                timed.append((newest, line))
    return Journal([line for _, line in sorted(timed, key=itemgetter(0))], unreadable)


@contextmanager
def _locked(file: Path) -> Iterator[int]:
    """The file, open to append, for this process alone."""
    is_new = not file.exists()
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        _lock(descriptor)
        yield descriptor
        os.fsync(descriptor)
        if is_new:
            _sync_folder(file.parent)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _repair(descriptor: int, file: Path) -> int:
    """Ends the file with a whole line, and answers its length. Nobody writes it meanwhile."""
    end = os.fstat(descriptor).st_size
    content = os.pread(descriptor, end, 0)
    torn = content.rpartition(b"\n")[2]
    if not torn:
        return end
    try:
        READER.validate_json(torn)
    except ValueError:
        log.warning("%s: the end of the last line was missing; it is cut off", file.name)
        os.ftruncate(descriptor, end - len(torn))
        return end - len(torn)
    _write(descriptor, b"\n")
    return end + 1


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

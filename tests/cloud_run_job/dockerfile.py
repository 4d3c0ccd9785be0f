"""The Dockerfile as its instructions."""

import json
from typing import NamedTuple

from tests.conftest import ROOT

FILE = ROOT / "docs" / "cloud-run-job" / "Dockerfile"


class Instruction(NamedTuple):
    """`stage` counts from 0."""

    stage: int
    name: str
    value: str


def read() -> list[Instruction]:
    lines = [line for line in FILE.read_text().splitlines() if not line.startswith("#")]
    found, stage = [], -1
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, value = line.partition(" ")
        stage += name == "FROM"
        if name:
            found.append(Instruction(stage, name, value.strip()))
    return found


def values(name: str, stage: int | None = None) -> list[str]:
    return [one.value for one in read() if one.name == name and stage in (None, one.stage)]


def words(name: str) -> list[str]:
    """Of the only instruction of that name, in its JSON form."""
    [value] = values(name)
    return json.loads(value)


def copied() -> list[str]:
    """What the first stage takes from the checkout."""
    return [source for value in values("COPY", 0) for source in value.split()[:-1]]

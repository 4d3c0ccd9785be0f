"""What the batch stand-ins have in common: files, jobs, and what becomes of them."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.stand_ins.embeddings.service import Reply

Line = dict[str, Any]


@dataclass
class Job:
    """`fault` and `slow` are those of Batches; `looks`: how often it was asked for."""

    id: str
    label: str
    lines: list[Line]
    fault: str
    slow: int
    looks: int = 0

    @property
    def ended_as(self) -> str:
        return self.fault if self.fault in ENDS else ""


ENDS = {"failed", "full", "expired", "cancelled"}


@dataclass
class Batches:
    """`faults` are taken first, one a job: "failed" or "full" (nothing is answered), "expired" or
    "cancelled" (the first half is answered), "partial" (one text of three is not), "refused" (one
    of three is refused), "all refused", "lost" (nobody knows it any more), "lost file", "broken"
    (its answers break off, once), "shape", "nan". A job is running for `slow` looks,
    or those of `slows`, and while `held`. `on` is called with each request's name: see the
    stand-ins."""

    faults: list[str] = field(default_factory=list)
    slow: int = 1
    slows: list[int] = field(default_factory=list)
    held: bool = False
    on: Callable[[str], object] = lambda _: None
    jobs: list[Job] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    numbers: Any = field(default_factory=itertools.count)

    def upload(self, data: bytes) -> str:
        name = f"file-{next(self.numbers)}"
        self.files[name] = data
        return name

    def create(self, label: str, file: str) -> Job:
        number = next(self.numbers)
        lines = [json.loads(line) for line in self.files[file].splitlines()]
        fault = self.faults.pop(0) if self.faults else ""
        slow = self.slows.pop(0) if self.slows else self.slow
        self.jobs.append(Job(f"batch-{number}", label, lines, fault, slow))
        return self.jobs[-1]

    def find(self, id: str) -> Job | None:
        known = (job for job in self.jobs if job.id == id and job.fault != "lost")
        return next(known, None)

    def has_ended(self, job: Job) -> bool:
        job.looks += 1
        return not self.held and job.looks > job.slow

    def answered(self, job: Job) -> list[tuple[Line, str]]:
        """The lines that are worked off, each with its fault."""
        if job.fault in ("failed", "full"):
            return []
        lines = job.lines[: len(job.lines) // 2] if job.ended_as else job.lines
        if job.fault == "all refused":
            return [(line, "refused") for line in lines]
        by_line = {"partial": "error", "refused": "refused"}.get(job.fault, "")
        return [
            (line, (by_line if n % 3 == 2 else "") if by_line else job.fault)
            for n, line in enumerate(lines)
        ]


def reply(body: object, status: int = 200, **headers: str) -> Reply:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(body).encode(), {"Content-Type": "application/json", **given})


NOT_FOUND = reply({"error": {"code": 404, "message": "", "status": "NOT_FOUND"}}, 404)

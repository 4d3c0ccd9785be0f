"""The independent checker: it re-embeds every text and replays the writers' journal."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import sqlalchemy as sa

from ragkit.embedders import load
from ragkit.migration import coverage
from tests.chaos.world import NEW, OLD, World

SAME = 0.999


def lines(log: Path) -> pd.DataFrame:
    whole = [line for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return pd.DataFrame([json.loads(line) for line in whole])


@dataclass(frozen=True)
class End:
    """The table as it was when the writers had gone: id, name, content, old and new vector."""

    rows: list[sa.Row]
    pending: int

    @classmethod
    def of(cls, world: World) -> "End":
        query = "select id, name, content, embedding::text old, embedding_256::text new"
        with world.engine.connect() as connection:
            rows = connection.execute(sa.text(f"{query} from amenities")).all()
            return cls(list(rows), coverage.count(connection, world.migration()).pending)


def vectors(end: End) -> dict[str, int]:
    """Rows whose vector is not that of their text, and rows without one."""
    stale = 0
    for place, model in (("old", OLD), ("new", NEW)):
        kept = [(row.content, getattr(row, place)) for row in end.rows if getattr(row, place)]
        made = load(model).embed_documents([text for text, _ in kept])
        stored = np.array([json.loads(vector) for _, vector in kept], np.float32)
        stale += int(((stored * made).sum(axis=1) < SAME).sum())
    missing_old = sum(row.old is None for row in end.rows)
    return {"stale_vectors": stale, "pending": end.pending, "rollback_misses": missing_old}


def lost_writes(end: End, journal: pd.DataFrame) -> int:
    """Acknowledged writes that the table does not show."""
    table = {row.id: {"content": row.content, "name": row.name} for row in end.rows}
    wanted: dict[int, dict | None] = {}
    for key, state in zip(journal["key"], journal["state"], strict=True):
        wanted[key] = None if state is None else {**(wanted.get(key) or {}), **state}
    return sum(
        (key in table) if state is None
        else any(table.get(key, {}).get(column) != value for column, value in state.items())
        for key, state in wanted.items()
    )  # fmt: skip


class Outages:
    """When the server itself was dead, (start, end); each with a grace to come back in."""

    def __init__(self, spans: list[tuple[float, float]], grace: float):
        self._spans, self._grace = spans, grace

    def hold(self, at: float) -> bool:
        return any(start - 0.5 <= at <= end + self._grace for start, end in self._spans)

    def calm(self, log: pd.DataFrame, began: str) -> pd.DataFrame:
        """What neither began nor ended in one."""
        ended = log[began] + log["ms"] / 1000
        return log[[not (self.hold(a) or self.hold(b))
                    for a, b in zip(log[began], ended, strict=True)]]  # fmt: skip

    def seconds_to_recover(self, errors: list[float]) -> float:
        """From the server's return to the last error that it still explains."""
        late = [
            at - end for start, end in self._spans for at in errors if end <= at <= end + 60
            and not any(other > start and other <= at for other, _ in self._spans)
        ]  # fmt: skip
        return round(max([0.0, *late]), 2)


def requests(log: pd.DataFrame, outages: Outages) -> dict:
    """Failed ones, those that met an outage of the server itself, and the longest pause."""
    failed, during, why = 0, 0, set()
    for ok, errors in zip(log["ok"], log["errors"], strict=True):
        outside = [problem for at, problem in errors if not outages.hold(at)]
        why |= set(outside)
        failed += bool(outside) or not ok
        during += bool(errors) and not outside and bool(ok)
    return {
        "requests": len(log),
        "failed_requests": failed,
        "why": sorted(why)[:5],
        "failed_during_outage": during,
        "seconds_to_recover": outages.seconds_to_recover(
            [at for errors in log["errors"] for at, _ in errors]
        ),
        "longest_read_pause_ms": round(float(outages.calm(log, "due")["ms"].max()), 1),
    }

"""The independent checker: it embeds every text again and replays the journal of the writers. It
uses nothing of ragkit."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import sqlalchemy as sa
import wordllama

from tests.chaos.environment import ChaosEnvironment

MIN_COSINE = 0.999
"""Between a stored vector and one made again from the same text."""
EARLY_SECONDS = 0.5
"""An outage starts this much earlier, because requests in flight fail with it."""
MAX_RECOVERY_SECONDS = 60
"""An error later than this after an outage has another cause."""


def read_log(log: Path) -> pd.DataFrame:
    """The complete JSON lines of a log."""
    lines = [line for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return pd.DataFrame([json.loads(line) for line in lines])


@dataclass(frozen=True)
class FinalTable:
    """The table after the last write: id, name, content, old and new vector of each row."""

    rows: list[sa.Row]
    pending: int

    @classmethod
    def read(cls, environment: ChaosEnvironment) -> "FinalTable":
        query = "select id, name, content, embedding::text old, embedding_256::text new"
        with environment.engine.connect() as connection:
            rows = connection.execute(sa.text(f"{query} from amenities")).all()
        pending = sum(row.new is None and bool(row.content.strip()) for row in rows)
        return cls(list(rows), pending)


def words(dimension: int | None) -> wordllama.WordLlama:
    """The models of the proof, as their package loads them."""
    return wordllama.WordLlama.load(
        trunc_dim=dimension, cache_dir=Path(wordllama.__file__).parent, disable_download=True
    )


def vector_figures(table: FinalTable) -> dict[str, int]:
    """Rows whose vector was not made from their text, and rows without a vector."""
    stale = 0
    for column, model in (("old", words(64)), ("new", words(None))):
        filled = [row for row in table.rows if getattr(row, column)]
        expected = model.embed([row.content for row in filled], norm=True)
        stored = np.array([json.loads(getattr(row, column)) for row in filled], np.float32)
        stale += int(((stored * expected).sum(axis=1) < MIN_COSINE).sum())
    missing_old = sum(row.old is None for row in table.rows)
    return {"stale_vectors": stale, "pending": table.pending, "rollback_misses": missing_old}


def count_lost_writes(table: FinalTable, journal: pd.DataFrame) -> int:
    """Acknowledged writes that the table does not show."""
    rows = {row.id: {"content": row.content, "name": row.name} for row in table.rows}
    expected: dict[int, dict | None] = {}
    for key, state in zip(journal["key"], journal["state"], strict=True):
        expected[key] = None if state is None else {**(expected.get(key) or {}), **state}
    return sum(
        (key in rows) if state is None
        else any(rows.get(key, {}).get(column) != value for column, value in state.items())
        for key, state in expected.items()
    )  # fmt: skip


class Outages:
    """Spans in which the server was killed, (start, end), each with a grace period to recover."""

    def __init__(self, spans: list[tuple[float, float]], grace_seconds: float):
        self._spans, self._grace_seconds = spans, grace_seconds

    def includes(self, at: float) -> bool:
        return any(
            start - EARLY_SECONDS <= at <= end + self._grace_seconds for start, end in self._spans
        )

    def undisturbed(self, log: pd.DataFrame, start_column: str) -> pd.DataFrame:
        """The lines that neither start nor end in an outage."""
        starts = log[start_column]
        ends = starts + log["ms"] / 1000
        return log[[not (self.includes(start) or self.includes(end))
                    for start, end in zip(starts, ends, strict=True)]]  # fmt: skip

    def seconds_to_recover(self, errors: list[float]) -> float:
        """From the server's return to the last error that the outage explains."""
        delays = [
            at - end for start, end in self._spans for at in errors
            if end <= at <= end + MAX_RECOVERY_SECONDS
            and not any(other > start and other <= at for other, _ in self._spans)
        ]  # fmt: skip
        return round(max([0.0, *delays]), 2)


def request_figures(log: pd.DataFrame, outages: Outages) -> dict:
    """Failed requests, requests that met an outage and were answered later, the longest pause."""
    failed, delayed, reasons = 0, 0, set()
    for answered, errors in zip(log["ok"], log["errors"], strict=True):
        unexplained = [problem for at, problem in errors if not outages.includes(at)]
        reasons |= set(unexplained)
        failed += bool(unexplained) or not answered
        delayed += bool(errors) and not unexplained and bool(answered)
    return {
        "requests": len(log),
        "failed_requests": failed,
        "why": sorted(reasons)[:5],
        "failed_during_outage": delayed,
        "seconds_to_recover": outages.seconds_to_recover(
            [at for errors in log["errors"] for at, _ in errors]
        ),
        "longest_read_pause_ms": round(float(outages.undisturbed(log, "due")["ms"].max()), 1),
    }


def manners_figures(log: pd.DataFrame, outages: Outages) -> dict:
    """Deadlocks of the app's transactions of several rows, and the longest wait for a row beside
    one that an idle transaction holds."""
    several, neighbours = (log[log["kind"] == kind] for kind in ("several", "neighbours"))
    waits = outages.undisturbed(neighbours, "at")["ms"]
    return {
        "transactions_of_several_rows": len(several),
        "app_deadlocks": int(log["deadlocks"].sum()),
        "writes_of_other_rows": len(waits),
        "p99_wait_of_other_rows_ms": round(float(waits.quantile(0.99)), 1),
        "max_wait_of_other_rows_ms": round(float(waits.max()), 1),
    }

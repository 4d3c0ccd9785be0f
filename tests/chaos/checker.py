"""The independent checker: it re-embeds every text and replays the writers' journal."""

import json
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


def vectors(world: World) -> dict[str, int]:
    """Rows whose vector is not that of their text, and rows without one."""
    query = sa.text("select content, embedding::text, embedding_256::text from amenities")
    with world.engine.connect() as connection:
        rows = connection.execute(query).all()
        pending = coverage.count(connection, world.migration()).pending
    texts = [row[0] for row in rows]
    stale = 0
    for place, model in ((1, OLD), (2, NEW)):
        made = load(model).embed_documents(texts)
        kept = [(i, json.loads(row[place])) for i, row in enumerate(rows) if row[place]]
        stored = np.array([vector for _, vector in kept], np.float32)
        cosine = (stored * made[[i for i, _ in kept]]).sum(axis=1)
        stale += int((cosine < SAME).sum())
    missing_old = sum(row[1] is None for row in rows)
    return {"stale_vectors": stale, "pending": pending, "rollback_misses": missing_old}


def lost_writes(world: World, journal: pd.DataFrame) -> int:
    """Acknowledged writes that the table does not show."""
    with world.engine.connect() as connection:
        query = sa.text("select id, content, name from amenities")
        table = {row[0]: {"content": row[1], "name": row[2]} for row in connection.execute(query)}
    wanted: dict[int, dict | None] = {}
    for key, state in zip(journal["key"], journal["state"], strict=True):
        wanted[key] = None if state is None else {**(wanted.get(key) or {}), **state}
    return sum(
        (key in table) if state is None
        else any(table.get(key, {}).get(column) != value for column, value in state.items())
        for key, state in wanted.items()
    )  # fmt: skip


def requests(log: pd.DataFrame, outages: list[tuple[float, float]], grace: float) -> dict:
    """Failed ones, those that met an outage of the server itself, and the longest pause."""

    def in_outage(at: float) -> bool:
        return any(start - 0.5 <= at <= end + grace for start, end in outages)

    failed = during = 0
    for ok, errors in zip(log["ok"], log["errors"], strict=True):
        outside = [problem for at, problem in errors if not in_outage(at)]
        failed += bool(outside) or not ok
        during += bool(errors) and not outside and bool(ok)
    done = log["due"] + log["ms"] / 1000
    calm = log[[not in_outage(at) for at in done]]
    recovered = [
        max((at for errors in log["errors"] for at, _ in errors if start <= at), default=end) - end
        for start, end in outages
    ]
    return {
        "requests": len(log),
        "failed_requests": failed,
        "failed_during_outage": during,
        "seconds_to_recover": round(max([0.0, *recovered]), 2),
        "longest_read_pause_ms": round(float(calm["ms"].max()), 1),
    }

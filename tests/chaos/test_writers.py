"""The instrument itself: the writers' journal agrees with the table when they have been ended."""

import subprocess
import sys
import time

import pytest
import sqlalchemy as sa

from ragkit.sandbox.stand_in import amenities
from tests.chaos import checker
from tests.conftest import ROOT, environment

ROWS, RATE, BYTES = 60, 900, 50_000


@pytest.mark.parametrize("stop", range(2))
def test_the_writers_leave_nothing_unwritten_when_they_are_ended(engine, tmp_path, stop):
    table, log = amenities(64), tmp_path / "writes.jsonl"
    rows = [
        {"id": n, "name": "a", "content": "a", "embedding": [0.0] * 64} for n in range(1, ROWS + 1)
    ]
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(sa.insert(table), rows)
    writers = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.writers", engine.url.render_as_string(),
         log, tmp_path / "flag", str(RATE), str(ROWS)],
        env=environment(), cwd=ROOT,
    )  # fmt: skip
    while writers.poll() is None and (not log.exists() or log.stat().st_size < BYTES):
        time.sleep(0.05)
    writers.terminate()
    ended = writers.wait(30)
    with engine.connect() as connection:
        left = connection.execute(sa.select(table.c.id, table.c.name, table.c.content)).all()
    assert checker.lost_writes(checker.End(list(left), 0), checker.lines(log)) == 0
    assert ended == 0

"""The writers' journal agrees with the table after the writers were stopped."""

import subprocess
import time

import pytest
import sqlalchemy as sa

from ragkit.sandbox.sample import amenities
from tests.chaos.checker import FinalTable, count_lost_writes, read_log
from tests.conftest import PYTHON, ROOT, environment

ROWS, WRITES_PER_SECOND, MIN_LOG_BYTES = 60, 900, 50_000


@pytest.mark.parametrize("repetition", range(2))
def test_stopped_writers_have_recorded_every_write(engine, tmp_path, repetition):
    table, log = amenities(64), tmp_path / "writes.jsonl"
    rows = [
        {"id": n, "name": "a", "content": "a", "embedding": [0.0] * 64} for n in range(1, ROWS + 1)
    ]
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(sa.insert(table), rows)
    writers = subprocess.Popen(
        [PYTHON, "-m", "tests.chaos.writers", engine.url.render_as_string(),
         log, tmp_path / "flag", str(WRITES_PER_SECOND), str(ROWS)],
        env=environment(), cwd=ROOT,
    )  # fmt: skip
    while writers.poll() is None and (not log.exists() or log.stat().st_size < MIN_LOG_BYTES):
        time.sleep(0.05)
    writers.terminate()
    exit_code = writers.wait(30)
    with engine.connect() as connection:
        remaining = connection.execute(sa.select(table.c.id, table.c.name, table.c.content)).all()
    assert count_lost_writes(FinalTable(list(remaining), 0), read_log(log)) == 0
    assert exit_code == 0

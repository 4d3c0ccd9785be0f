import signal
import subprocess
import time

import pytest
import sqlalchemy as sa

from ragkit.errors import DatabaseError
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work import sweep, workers
from ragkit.migration.work.tables import WORKER
from tests.conftest import PYTHON, environment

WORK = """
import sys, sqlalchemy as sa
from ragkit.migration.work.workers import working
with working(sa.create_engine(sys.argv[1]), "backfill") as worker:
    print(worker, flush=True)
    sys.stdin.read()
"""


def alive(engine, worker):
    with engine.connect() as connection:
        return connection.scalar(sa.select(workers.is_alive(sa.literal(worker))))


@pytest.fixture
def expanded(migration):
    expand(migration)
    return migration


def test_a_worker_is_alive_until_it_ends(expanded, engine):
    with workers.working(engine, "backfill") as worker:
        assert alive(engine, worker)
    assert not alive(engine, worker)


def test_its_row_is_renewed(expanded, engine, monkeypatch):
    monkeypatch.setattr(workers, "RENEW_SECONDS", 0.05)
    with workers.working(engine, "backfill") as worker:
        with engine.begin() as connection:
            connection.execute(sa.update(WORKER).values(until=sa.func.now()))
        deadline = time.monotonic() + 5
        while not alive(engine, worker):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_frozen_process_loses_its_claims_when_its_row_expires(expanded, engine, monkeypatch):
    process = subprocess.Popen(
        [PYTHON, "-c", WORK, engine.url.render_as_string()],
        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        worker = process.stdout.readline().strip()
        process.send_signal(signal.SIGSTOP)
        assert alive(engine, worker)
        with engine.begin() as connection:  # the clock goes on
            left = sa.func.now() - sa.text("interval '1 second'")
            connection.execute(sa.update(WORKER).values(until=left))
        assert not alive(engine, worker)
    finally:
        process.kill()
        process.wait()


def test_those_who_hold_something_are_named(expanded, engine):
    sweep.begin(expanded)
    with workers.working(engine, "ragkit backfill") as worker, engine.connect() as connection:
        assert workers.at_work(connection, expanded.id) == []
        sweep.claim(expanded, worker)
        (holder,) = workers.at_work(connection, expanded.id)
        assert str(holder).startswith("'ragkit backfill by ")


def test_before_expand_it_is_an_error(migration, engine):
    with pytest.raises(DatabaseError, match="renewing a lease"), workers.working(engine, "x"):
        pass

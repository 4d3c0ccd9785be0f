"""A share of a backfill: it fills, waits for the ranges of others, and completes nothing."""

import itertools
import os
import signal
import threading
import time
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from ragkit.errors import Stopped
from ragkit.migration import phases
from ragkit.migration.backfill.engine.share import share_backfill
from ragkit.migration.control.settings import change_settings
from ragkit.migration.migration import Migration
from ragkit.migration.progress.audit import audit
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work import sweep
from ragkit.migration.work.workers import LEASE_SECONDS, working
from ragkit.retrieval import contract
from ragkit.retrieval.space import FILLING
from tests.conftest import TEXTS, make_table, with_plan
from tests.migration.backfill.vectors import check_vectors
from tests.processes import Script

HOLD = """
import sys, sqlalchemy as sa
from ragkit.migration.migration import Migration
from ragkit.migration.work import sweep
from ragkit.migration.work.workers import working
from tests.plans import make_plan
migration = Migration.open(make_plan(), sa.create_engine(sys.argv[1]))
sweep.begin(migration)
with working(migration.engine, "ragkit backfill") as worker:
    assert sweep.claim(migration, worker)
    print("claimed", flush=True)
    sys.stdin.read()
"""
PLACES = [f"{text} Number {n}." for n in range(40) for text in TEXTS]


@pytest.fixture
def migration(engine, plan):
    make_table(engine, plan, PLACES)
    migration = Migration.open(plan, engine)
    expand(migration)
    return migration


def test_it_fills_every_row_and_leaves_the_end_to_another(migration, new_embedder):
    first, *_, last = share_backfill(migration, new_embedder)
    assert (first.done, last.done) == (0, len(PLACES))
    check_vectors(migration, new_embedder)
    assert migration.phase() == phases.EXPANDED
    with migration.engine.connect() as connection:
        bindings = contract.read_bindings(connection, migration.plan.table.qualified_name)
        assert [b.state for b in bindings if b.column == migration.plan.new.column] == [FILLING]


def test_it_takes_over_what_a_process_that_dies_had_claimed(migration, new_embedder):
    other = Script(HOLD, migration.engine.url.render_as_string())
    assert other.stdout.readline() == "claimed\n"
    os.kill(other.pid, signal.SIGKILL)
    start = time.monotonic()
    list(share_backfill(migration, new_embedder))
    assert audit(migration).pending == 0
    assert time.monotonic() - start < 2 * LEASE_SECONDS


def test_it_waits_for_a_range_of_another_and_not_for_its_keys(migration, new_embedder):
    ended = threading.Event()

    def share():
        list(share_backfill(migration, new_embedder))
        ended.set()

    sweep.begin(migration)
    with working(migration.engine, "ragkit backfill") as worker:
        claimed = sweep.claim(migration, worker)
        thread = threading.Thread(target=share)
        thread.start()
        assert not ended.wait(2)
        sweep.finish(migration, worker, claimed)
        with migration.engine.begin() as connection:
            row = {"id": 1000, "name": "n", "content": "New."}
            connection.execute(sa.insert(migration.table).values(row))
            connection.exec_driver_sql("select * from ragkit.queue for update")
            assert ended.wait(10)
    thread.join()


def test_people_who_write_all_the_time_do_not_keep_it(migration, new_embedder):
    stop = threading.Event()

    def write():
        for number in itertools.count(1000):
            with migration.engine.begin() as connection:
                row = {"id": number, "name": "n", "content": f"New place {number}."}
                connection.execute(sa.insert(migration.table).values(row))
            if stop.wait(0.001):
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        start = time.monotonic()
        list(share_backfill(migration, new_embedder))
        assert time.monotonic() - start < 30
    finally:
        stop.set()
        writer.join()


def test_it_is_paused_and_stopped_as_the_whole_is(migration, new_embedder):
    change_settings(migration, "pause", paused=True)
    steps = share_backfill(migration, new_embedder)
    next(steps)
    assert next(steps).waiting.startswith("paused by ")
    change_settings(migration, "stop", stopped_at=sa.func.clock_timestamp())
    with pytest.raises(Stopped, match="stopped by"):
        list(steps)
    assert audit(migration).pending == len(PLACES)


def test_it_keeps_to_the_window_of_the_plan(migration, new_embedder):
    hour = datetime.now(UTC).hour
    closed = f"{(hour + 2) % 24}:00-{(hour + 4) % 24}:00 UTC"
    steps = share_backfill(with_plan(migration, {"backfill.window": closed}), new_embedder)
    next(steps)
    assert next(steps).waiting.startswith("outside of the window")
    steps.close()
    assert audit(migration).pending == len(PLACES)

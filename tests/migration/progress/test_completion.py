import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from ragkit.migration import phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.progress.completion import complete, needs_audit, start_pass
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work import queue, sweep
from ragkit.migration.work.workers import working
from tests.conftest import TEXTS
from tests.migration.backfill.vectors import check_vectors
from tests.stand_ins.recording import RecordingEmbedder


def insert(migration, key):
    with migration.engine.begin() as connection:
        row = {"id": key, "name": "n", "content": "A new shop."}
        connection.execute(sa.insert(migration.table).values(row))


def walk(migration):
    sweep.begin(migration)
    with working(migration.engine, "backfill") as me:
        while claimed := sweep.claim(migration, me):
            sweep.finish(migration, me, claimed)


def test_a_table_that_is_not_walked_is_never_complete(migration):
    expand(migration)
    last = start_pass(migration)
    assert not needs_audit(migration, last)
    assert not complete(migration, last, None)


def test_a_first_completion_needs_an_audit(migration):
    expand(migration)
    walk(migration)
    last = start_pass(migration)
    assert needs_audit(migration, last)
    assert not complete(migration, last, None)
    assert migration.phase() == phases.EXPANDED


def test_a_key_from_before_the_pass_holds_it_up_and_a_later_one_does_not(filled):
    insert(filled, 100)
    last = start_pass(filled)
    assert not complete(filled, last, None)
    queue.remove(filled, "me", list(queue.take(filled, "me", last.before, 10).keys))
    insert(filled, 101)
    assert complete(filled, last, None)
    assert not complete(filled, start_pass(filled), None)


def test_a_row_that_is_locked_holds_up_every_pass(filled):
    last = start_pass(filled)
    queue.put_back(filled, ["1"])
    assert not complete(filled, last, None)


def test_an_open_transaction_of_the_app_holds_up_nothing(filled, engine, new_embedder):
    """It has written to another table before the pass starts."""
    with engine.connect() as app:
        app.exec_driver_sql("create table other (id int)")
        insert(filled, 100)
        list(run_backfill(filled, new_embedder))
        app.rollback()


@pytest.mark.timeout(100)
def test_a_backfill_ends_beside_an_application_that_edits_the_same_rows_all_the_time(
    migration, new_embedder
):
    """Each pass loses some rows to it: what it has written meanwhile is no reason to go on."""
    expand(migration)
    stop = threading.Event()

    def edit():
        for number in itertools.count():
            with migration.engine.begin() as app:
                change = sa.update(migration.table).where(migration.key == number % len(TEXTS) + 1)
                app.execute(change.values(content=f"Edited {number}."))
            if stop.wait(0.01):
                return

    slow, deadline = RecordingEmbedder(new_embedder, lambda _: time.sleep(0.05)), 30.0
    with ThreadPoolExecutor(1) as executor:
        editing, start = executor.submit(edit), time.monotonic()
        try:
            for _ in run_backfill(migration, slow):
                assert time.monotonic() - start < deadline
        finally:
            stop.set()
        editing.result()
    list(run_backfill(migration, new_embedder))
    check_vectors(migration, new_embedder)

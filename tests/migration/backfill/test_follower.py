"""The follower fills the rows that the app writes, before and after the cut-over."""

import threading
import time
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from ragkit.errors import ModelUnavailable
from ragkit.migration import ledger, phases
from ragkit.migration.backfill import notify
from ragkit.migration.backfill.follower import follow
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.schema import triggers
from ragkit.migration.schema.expansion import expand, keep_old_column_current
from ragkit.migration.status import read_status
from ragkit.migration.verdict import database_gates
from tests.conftest import column_of, with_plan
from tests.migration.backfill.vectors import check_vectors
from tests.stand_ins.recording import RecordingEmbedder


@contextmanager
def following(migration, new, old=None):
    """Runs the follower in a thread. Yields the list of its errors."""
    stop, errors = threading.Event(), []

    def run():
        try:
            list(follow(migration, new, old, stop))
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield errors
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def wait_for(condition, seconds=8.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def insert(migration, key, text):
    with migration.engine.begin() as connection:
        row = {"id": key, "name": "n", "content": text}
        connection.execute(sa.insert(migration.table).values(row))


def vector(migration, key, column="new vector"):
    """None when there is none."""
    return column_of(migration.engine, migration, column).get(key)


def test_a_write_wakes_the_follower_at_once(filled, new_embedder, monkeypatch):
    """Without polling, only NOTIFY can wake it."""
    monkeypatch.setattr(notify, "POLL_SECONDS", 3600)
    with following(filled, new_embedder):
        time.sleep(0.5)
        insert(filled, 100, "A new shop.")
        start = time.monotonic()
        wait_for(lambda: vector(filled, 100) is not None)
        assert time.monotonic() - start < 2
        with filled.engine.begin() as connection:
            edit = sa.update(filled.table).where(filled.key == 1)
            connection.execute(edit.values(content="Edited."))
        wait_for(lambda: vector(filled, 1) is not None)
    check_vectors(filled, new_embedder)


def test_without_notify_the_follower_polls(filled, new_embedder, monkeypatch):
    monkeypatch.setattr(notify, "POLL_SECONDS", 0.5)
    with filled.engine.begin() as connection:
        triggers.drop_triggers(connection, filled)
    with following(filled, new_embedder):
        insert(filled, 100, "A new shop.")
        wait_for(lambda: vector(filled, 100) is not None)


def test_a_backfill_ends_under_steady_inserts_with_a_slow_model(migration, new_embedder):
    """With 20 inserts a second and 0.2 s per call, there is always a pending row."""
    stop, keys = threading.Event(), iter(range(1000, 10_000))

    def write():
        while not stop.is_set():
            insert(migration, next(keys), "Steady.")
            time.sleep(0.05)

    expand(migration)
    writer = threading.Thread(target=write)
    writer.start()
    start = time.monotonic()
    slow_embedder = RecordingEmbedder(new_embedder, lambda texts: time.sleep(0.2))
    list(run_backfill(with_plan(migration, {"backfill.batch_size": 64}), slow_embedder))
    with migration.engine.connect() as connection:
        gates = {gate.name: gate for gate in database_gates(connection, migration)}
    stop.set()
    writer.join()
    assert time.monotonic() - start < 15
    assert gates["coverage"].passed is True


@pytest.fixture
def after_cut_over(filled):
    """A migration after the cut-over: triggers clear the old vectors too."""
    with filled.engine.begin() as connection:
        ledger.record(connection, filled.id, phases.CUT_OVER)
    keep_old_column_current(filled)
    keep_old_column_current(filled)  # safe to repeat
    return filled


def test_after_the_cut_over_both_columns_are_filled(after_cut_over, new_embedder, old_embedder):
    with following(after_cut_over, new_embedder, old_embedder):
        insert(after_cut_over, 100, "A new shop.")
        with after_cut_over.engine.begin() as connection:
            edit = sa.update(after_cut_over.table).where(after_cut_over.key == 1)
            connection.execute(edit.values(content="Edited."))
        wait_for(
            lambda: all(
                vector(after_cut_over, key, column) is not None
                for key in (1, 100)
                for column in ("new vector", "embedding")
            )
        )
    assert vector(after_cut_over, 1, "embedding") == pytest.approx(
        old_embedder.embed_query("Edited.").tolist(), abs=1e-6
    )
    assert read_status(after_cut_over, None).old_missing == 0
    check_vectors(after_cut_over, new_embedder)


def test_after_a_rollback_both_columns_are_filled(after_cut_over, new_embedder, old_embedder):
    """The app that is back may have been written for the new column only."""
    after_cut_over.record(phases.ROLLED_BACK)
    insert(after_cut_over, 100, "A new shop.")
    status = read_status(after_cut_over, None)
    assert (status.old_missing, status.total - status.done) == (1, 1)
    with following(after_cut_over, new_embedder, old_embedder):
        wait_for(lambda: vector(after_cut_over, 100, "embedding") is not None)
    status = read_status(after_cut_over, None)
    assert (status.old_missing, status.total - status.done) == (0, 0)


def test_without_the_old_model_the_status_counts_the_rows_that_a_rollback_misses(
    after_cut_over, new_embedder, old_embedder
):
    def fail(texts):
        raise ModelUnavailable("404 retired")

    with following(after_cut_over, new_embedder, RecordingEmbedder(old_embedder, fail)) as errors:
        insert(after_cut_over, 100, "A new shop.")
        wait_for(lambda: vector(after_cut_over, 100) is not None)
    assert errors == []
    assert vector(after_cut_over, 100, "embedding") is None
    assert read_status(after_cut_over, None).old_missing == 1


def test_a_permanent_error_of_the_model_ends_the_follower(filled, new_embedder):
    def fail(texts):
        raise ModelUnavailable("401")

    with following(filled, RecordingEmbedder(new_embedder, fail)) as errors:
        insert(filled, 100, "A new shop.")
        wait_for(lambda: errors)
    assert "401" in str(errors[0])

"""The follower fills the rows that the app writes, before and after the cut-over."""

import threading
import time
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from ragkit.errors import ModelUnavailable
from ragkit.migration import ledger, phases
from ragkit.migration.backfill import follower
from ragkit.migration.backfill.follower import follow
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.schema.expansion import expand, keep_old_column_current
from ragkit.migration.status import read_status
from tests.conftest import column_of, gates_of, with_plan
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


def test_a_write_is_followed_within_seconds(filled, new_embedder):
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


def test_an_idle_follower_keeps_the_catch_up_recent(filled, new_embedder, monkeypatch):
    """Without it, a row that was written a moment ago would count as overdue."""
    monkeypatch.setattr(follower, "CATCH_UP_SECONDS", 0.2)
    with filled.engine.begin() as connection:
        connection.exec_driver_sql("update ragkit.migration set caught_up_at = '2020-01-01'")

    def caught_up():
        with filled.engine.connect() as connection:
            return ledger.last_catch_up(connection, filled.id, 60) is not None

    with following(filled, new_embedder):
        wait_for(caught_up)


def test_an_idle_follower_reads_only_the_queue(filled, new_embedder):
    """However large the table is."""
    statements = []

    def note(connection, cursor, statement, *_):
        statements.append(statement)

    with following(filled, new_embedder):
        time.sleep(1.5)
        sa.event.listen(filled.engine, "before_cursor_execute", note)
        time.sleep(2)
        sa.event.remove(filled.engine, "before_cursor_execute", note)
    assert statements
    assert [s for s in statements if "Amenities" in s] == []


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
    gates = gates_of(migration)
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


def test_an_old_model_that_is_away_makes_no_follower_run_in_circles(
    filled, new_embedder, old_embedder, caplog
):
    """The keys of its rows stay in the queue."""
    keep_old_column_current(filled)
    for phase in (phases.COMPARED, phases.CUT_OVER):
        filled.record(phase)

    def fail(_):
        raise ModelUnavailable("retired")

    old = RecordingEmbedder(old_embedder, fail)
    with following(filled, new_embedder, old):
        insert(filled, 100, "A new shop.")
        wait_for(lambda: vector(filled, 100) is not None)
        time.sleep(6 * follower.POLL_SECONDS)
    told = [record for record in caplog.records if "not kept current" in record.message]
    assert 1 <= len(told) <= 2

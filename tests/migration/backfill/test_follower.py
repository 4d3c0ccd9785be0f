"""The follower fills the rows that the app writes, before and after the cut-over."""

import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.errors import ModelUnavailable
from ragkit.migration import ledger, phases
from ragkit.migration.backfill import follower
from ragkit.migration.backfill.follower import follow
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.schema.expansion import expand, keep_old_column_current
from ragkit.migration.status import read_status
from ragkit.retrieval.rescue.candidates.bridge import Bridge
from ragkit.retrieval.rescue.plan import write_plan
from tests.conftest import column_of, gates_of, with_plan
from tests.migration.backfill.vectors import check_vectors
from tests.retrieval.rescue.conftest import make_rescue
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


class TestByTheBridge:
    """Where the old model cannot be called, and a rescue has left a bridge."""

    @pytest.fixture(params=[phases.BACKFILLED, phases.CUT_OVER, phases.ROLLED_BACK])
    def rescued(self, request, filled):
        for phase in (phases.CUT_OVER, phases.ROLLED_BACK):
            if request.param in (phase, phases.ROLLED_BACK):
                filled.record(phase)
        assert filled.phase() == request.param
        return self.bridged(filled)

    def bridged(self, migration, bridge=True):
        made = Bridge("ridge", 9, np.eye(64, 256, dtype=np.float32)) if bridge else None
        with migration.engine.begin() as connection:
            plan = make_rescue(migration)
            write_plan(connection, migration.new, plan, migration.plan.old.column, made)
        return migration

    def is_watched(self, migration):
        with migration.engine.connect() as connection:
            return ledger.phase(connection, migration.reversed().id) != phases.PLANNED

    def test_what_is_written_and_edited_has_an_old_vector_within_seconds(
        self, rescued, new_embedder, caplog
    ):
        caplog.set_level("INFO")
        with following(rescued, new_embedder) as errors:
            wait_for(lambda: self.is_watched(rescued))
            before = vector(rescued, 1, "embedding")
            insert(rescued, 100, "A new shop.")
            edit = sa.update(rescued.table).where(rescued.key == 1).values(content="Edited.")
            with rescued.engine.begin() as connection:
                connection.execute(edit)
            start = time.monotonic()
            made = new_embedder.embed_query("Edited.")
            wait_for(lambda: vector(rescued, 100, "embedding") is not None)
            wait_for(lambda: vector(rescued, 1, "embedding") is not None)
            assert time.monotonic() - start < 3
        assert errors == []
        stored = vector(rescued, 1, "embedding")
        assert not np.array_equal(stored, before)
        np.testing.assert_allclose(stored[:64] / np.linalg.norm(stored), made, atol=1e-6)
        assert "kept by the bridge ridge" in caplog.text
        assert "2 approximate vectors" in read_status(rescued, None).old_kept_by

    def test_a_column_that_still_fills_does_not_make_it_wait(self, migration, new_embedder):
        """Phase expanded: what is written then is filled by the same follower."""
        expand(migration)
        self.bridged(migration)
        with following(migration, new_embedder):
            wait_for(lambda: self.is_watched(migration))
            insert(migration, 100, "A new shop.")
            wait_for(lambda: vector(migration, 100, "embedding") is not None)

    def test_a_model_that_went_away_is_replaced(self, after_cut_over, new_embedder, old_embedder):
        def fail(texts):
            raise ModelUnavailable("404 retired")

        self.bridged(after_cut_over)
        old = RecordingEmbedder(old_embedder, fail)
        with following(after_cut_over, new_embedder, old) as errors:
            insert(after_cut_over, 100, "A new shop.")
            wait_for(lambda: vector(after_cut_over, 100, "embedding") is not None)
        assert errors == []

    def test_a_model_that_answers_goes_before_it(self, after_cut_over, new_embedder, old_embedder):
        self.bridged(after_cut_over)
        with following(after_cut_over, new_embedder, old_embedder):
            insert(after_cut_over, 100, "A new shop.")
            wait_for(lambda: vector(after_cut_over, 100, "embedding") is not None)
        right = old_embedder.embed_query("A new shop.").tolist()
        assert vector(after_cut_over, 100, "embedding") == pytest.approx(right, abs=1e-6)
        assert read_status(after_cut_over, None).old_kept_by is None

    def test_an_idle_follower_reads_only_the_queue_of_both(self, rescued, new_embedder):
        statements = []

        def note(connection, cursor, statement, *_):
            statements.append(statement)

        with following(rescued, new_embedder):
            time.sleep(2)
            sa.event.listen(rescued.engine, "before_cursor_execute", note)
            time.sleep(2)
            sa.event.remove(rescued.engine, "before_cursor_execute", note)
        assert statements
        assert [s for s in statements if "Amenities" in s or "rescue" in s] == []

    @pytest.mark.parametrize("bridge", [False, True])
    def test_without_a_bridge_that_can_be_verified_the_log_says_so_once(
        self, after_cut_over, new_embedder, bridge, caplog, monkeypatch
    ):
        monkeypatch.setattr(follower, "CATCH_UP_SECONDS", 0.2)
        self.bridged(after_cut_over, bridge)
        with after_cut_over.engine.begin() as connection:
            connection.exec_driver_sql("update ragkit.rescue set bridge = '\\x00'")
        reason = "is not that of its plan" if bridge else "no bridge leads into the old column"
        with following(after_cut_over, new_embedder) as errors:
            insert(after_cut_over, 100, "A new shop.")
            wait_for(lambda: vector(after_cut_over, 100) is not None)
            wait_for(lambda: reason in caplog.text)
            time.sleep(3 * follower.POLL_SECONDS)
        assert errors == []
        assert caplog.text.count("the old column is not kept current") == 1
        assert vector(after_cut_over, 100, "embedding") is None

    def test_a_migration_without_a_rescue_is_left_alone(self, filled, new_embedder, caplog):
        with following(filled, new_embedder):
            insert(filled, 100, "A new shop.")
            wait_for(lambda: vector(filled, 100) is not None)
        assert "not kept current" not in caplog.text
        assert not self.is_watched(filled)

    def test_a_table_that_stays_locked_ends_no_follower(
        self, filled, new_embedder, caplog, monkeypatch
    ):
        """Its triggers come later; the new column is followed."""
        monkeypatch.setattr(follower, "CATCH_UP_SECONDS", 0.3)
        self.bridged(filled)
        hurried = with_plan(filled, {"database.ddl_seconds": 0.3})
        with filled.engine.connect() as other:
            other.exec_driver_sql('lock table "Amenities" in row exclusive mode')
            with following(hurried, new_embedder) as errors:
                insert(filled, 100, "A new shop.")
                wait_for(lambda: vector(filled, 100) is not None)
                wait_for(lambda: "the table was locked by others" in caplog.text)
                other.rollback()
                wait_for(lambda: vector(filled, 100, "embedding") is not None)
        assert errors == []
        assert self.is_watched(filled)

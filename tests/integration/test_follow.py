"""Following people's writes, before and after the cut-over, with real traffic on the table."""

import threading
import time
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from ragkit.errors import ModelUnavailable
from ragkit.migration import backfill, coverage, ledger, retire, schema, verdict, wake
from ragkit.migration.follow import follow
from ragkit.migration.status import status
from tests.conftest import TEXTS, column_of
from tests.integration.test_backfill import Watched, check_vectors


@pytest.fixture
def filled(migration, new_embedder):
    schema.expand(migration)
    list(backfill.fill(migration, new_embedder))
    return migration


@contextmanager
def following(migration, new, old=None):
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
    return column_of(migration.engine, migration, column).get(key)


def test_a_write_wakes_it_at_once(filled, new_embedder, monkeypatch):
    """With polling put off for ever, only NOTIFY can be what wakes it."""
    monkeypatch.setattr(wake, "POLL_SECONDS", 3600)
    with following(filled, new_embedder):
        time.sleep(0.5)
        insert(filled, 100, "A new shop.")
        began = time.monotonic()
        wait_for(lambda: vector(filled, 100) is not None)
        assert time.monotonic() - began < 2
        with filled.engine.begin() as connection:
            edit = sa.update(filled.table).where(filled.key == 1)
            connection.execute(edit.values(content="Edited."))
        wait_for(lambda: vector(filled, 1) is not None)
    check_vectors(filled, new_embedder)


def test_without_notify_polling_finds_it(filled, new_embedder, monkeypatch):
    monkeypatch.setattr(wake, "POLL_SECONDS", 0.5)
    with filled.engine.begin() as connection:
        schema.drop_triggers(connection, filled)
    with following(filled, new_embedder):
        insert(filled, 100, "A new shop.")
        wait_for(lambda: vector(filled, 100) is not None)


def test_catching_up_ends_under_steady_inserts_with_a_slow_model(migration, new_embedder):
    """Twenty inserts a second, a fifth of a second a call: pending never is zero, and need not."""
    stop, keys = threading.Event(), iter(range(1000, 10_000))

    def write():
        while not stop.is_set():
            insert(migration, next(keys), "Steady.")
            time.sleep(0.05)

    schema.expand(migration)
    writer = threading.Thread(target=write)
    writer.start()
    began = time.monotonic()
    slow = Watched(new_embedder, lambda texts: time.sleep(0.2))
    wide = type(migration)(
        migration.plan.model_copy(update={"batch_size": 64}),
        migration.engine, migration.old, migration.new, migration.key_type,
    )  # fmt: skip
    list(backfill.fill(wide, slow))
    with migration.engine.connect() as connection:
        gates = {g.name: g for g in verdict.live_gates(connection, migration)}
    stop.set()
    writer.join()
    assert time.monotonic() - began < 15
    assert gates["coverage"].passed is True


def test_what_waits_for_longer_is_pending_all_the_same(filled):
    insert(filled, 100, "Nobody follows.")
    with filled.engine.begin() as connection:
        connection.exec_driver_sql(
            "update ragkit.migration set caught_up_at = now() - interval '2 minutes'"
        )
        gate = verdict.live_gates(connection, filled)[0]
    assert (gate.passed, "1 pending" in gate.observed) == (False, True)


@pytest.fixture
def cut_over(filled):
    with filled.engine.begin() as connection:
        filled.record(connection, ledger.CUT_OVER)
    schema.keep_old_current(filled)
    schema.keep_old_current(filled)
    return filled


def test_after_the_cut_over_both_columns_are_kept(cut_over, new_embedder, old_embedder):
    with following(cut_over, new_embedder, old_embedder):
        insert(cut_over, 100, "A new shop.")
        with cut_over.engine.begin() as connection:
            edit = sa.update(cut_over.table).where(cut_over.key == 1)
            connection.execute(edit.values(content="Edited."))
        wait_for(lambda: all(vector(cut_over, k, c) is not None
                             for k in (1, 100) for c in ("new vector", "embedding")))  # fmt: skip
    assert vector(cut_over, 1, "embedding") == pytest.approx(
        old_embedder.embed_query("Edited.").tolist(), abs=1e-6
    )
    assert status(cut_over, None).rollback_misses == 0
    check_vectors(cut_over, new_embedder)


def test_where_the_old_model_is_gone_the_status_says_what_a_rollback_misses(
    cut_over, new_embedder, old_embedder
):
    def gone(texts):
        raise ModelUnavailable("404 retired")

    with following(cut_over, new_embedder, Watched(old_embedder, gone)) as errors:
        insert(cut_over, 100, "A new shop.")
        wait_for(lambda: vector(cut_over, 100) is not None)
    assert errors == []
    assert vector(cut_over, 100, "embedding") is None
    assert status(cut_over, None).rollback_misses == 1


def test_a_model_that_fails_for_good_ends_it(filled, new_embedder):
    def gone(texts):
        raise ModelUnavailable("401")

    with following(filled, Watched(new_embedder, gone)) as errors:
        insert(filled, 100, "A new shop.")
        wait_for(lambda: errors)
    assert "401" in str(errors[0])


def test_retire_takes_the_old_columns_triggers_along(cut_over, new_embedder):
    """A trigger left behind would name a column that is gone, and fail every write of the app."""
    with cut_over.engine.begin() as connection:
        retire._drop(connection, cut_over)
    with cut_over.engine.begin() as connection:
        edit = sa.text('update "Amenities" set content = :t where id = 1')
        connection.execute(edit, {"t": "Edited after."})
        left = sa.text('select "new vector" is null from "Amenities" where id = 1')
        assert connection.scalar(left) is True


def test_pending_is_told_by_age(filled):
    with filled.engine.connect() as connection:
        before = connection.scalar(coverage.SNAPSHOT)
    insert(filled, 100, TEXTS[0])
    with filled.engine.connect() as connection:
        after = connection.scalar(coverage.SNAPSHOT)
        assert coverage.older(connection, filled, before) == 0
        assert coverage.older(connection, filled, after) == 1

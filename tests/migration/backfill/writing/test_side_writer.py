"""Vectors that are written into a side table, beside transactions of the app that are under way."""

import threading
import time
import uuid

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.database.types import as_array
from ragkit.migration.backfill.follower import follow
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.backfill.writing.side_writer import SideWriter
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work import queue
from ragkit.migration.work.rows import Row
from ragkit.retrieval.guarded_write import SIDE_SETTINGS
from tests.conftest import ROLE, TEXTS, changed, column_of
from tests.migration.backfill.vectors import check_no_orphans, check_vectors

ROWS = [Row(str(number), text) for number, text in enumerate(TEXTS, 1)]
ONES = np.ones((6, 64), np.float32)
WAITS, NO_WAIT = "5s", 2
"""How long a write would wait for a lock here, and much less than that, in seconds."""


@pytest.fixture
def beside(engine, plan, amenities) -> Migration:
    migration = Migration.open(changed(plan, {"new.placement": "side_table"}), engine)
    expand(migration)
    return migration


def vectors(migration):
    return column_of(migration.engine, migration, "new vector")


def stored(migration):
    with migration.engine.connect() as connection:
        return set(connection.scalars(sa.text(f"select key from {migration.new_side.name}")))


def queued(migration):
    with migration.engine.connect() as connection:
        return sorted(connection.scalars(sa.select(queue.QUEUE.c.key)))


CHANGES = {
    "edited": "update \"Amenities\" set content = 'Now.' where id = 2",
    "deleted": 'delete from "Amenities" where id = 2',
    "given another key": 'update "Amenities" set id = 20 where id = 2',
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_row_that_is_being_changed_is_not_waited_for_and_ends_right(
    beside, engine, new_embedder, change, monkeypatch
):
    monkeypatch.setitem(SIDE_SETTINGS, "lock_timeout", WAITS)
    vectors(beside)  # the session is there
    with engine.begin() as app:
        app.exec_driver_sql(change)
        start = time.monotonic()
        SideWriter(beside).write(ROWS, ONES)
        assert time.monotonic() - start < NO_WAIT
    assert 2 in stored(beside)  # written before the app's commit, which nobody could see
    assert vectors(beside).get(2) is None
    assert "2" in queued(beside) or "20" in queued(beside)
    list(run_backfill(beside, new_embedder))
    found = vectors(beside)
    for key in (1, 3, 4, 5, 6):
        assert found[key] == pytest.approx(ONES[0])
    assert 2 not in stored(beside) or found.get(2) == pytest.approx(
        new_embedder.embed_query("Now.")
    )


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_app_does_not_wait_for_a_write_that_is_under_way(beside, engine, new_embedder, change):
    with engine.begin() as ours:
        SideWriter(beside).send(ours, ROWS, ONES)
        start = time.monotonic()
        with engine.begin() as app:
            app.exec_driver_sql(f"set local lock_timeout = '{WAITS}'")
            app.exec_driver_sql(change)
        assert time.monotonic() - start < NO_WAIT
    assert vectors(beside).get(2) is None
    list(run_backfill(beside, new_embedder))
    assert vectors(beside).get(2) is None or vectors(beside)[2] != pytest.approx(ONES[0])


@pytest.mark.parametrize("change", list(CHANGES.values())[:2], ids=list(CHANGES)[:2])
def test_a_vector_of_an_earlier_text_is_taken_away_at_once(beside, engine, change):
    with engine.begin() as app:
        app.exec_driver_sql(change)
    assert SideWriter(beside).write(ROWS, ONES) == 5
    assert stored(beside) == {1, 3, 4, 5, 6}


def test_a_late_write_of_an_earlier_text_replaces_nothing(beside, engine):
    """Two workers had the same row; the faster one has seen the edit."""
    with engine.begin() as app:
        app.exec_driver_sql(CHANGES["edited"])
    assert SideWriter(beside).write([Row("2", "Now.")], -ONES[:1]) == 1
    assert SideWriter(beside).write(ROWS, ONES) == 5
    assert vectors(beside)[2] == pytest.approx(-ONES[0])


def test_a_vector_that_no_longer_fits_is_replaced(beside, engine):
    SideWriter(beside).write(ROWS, ONES)
    with engine.begin() as app:
        app.exec_driver_sql('alter table "Amenities" disable trigger all')
        app.exec_driver_sql(CHANGES["edited"])
    assert vectors(beside)[2] is None
    assert SideWriter(beside).write([Row("2", "Now.")], -ONES[:1]) == 1
    assert vectors(beside)[2] == pytest.approx(-ONES[0])


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("smallint", ["-7", "32000"]), ("bigint", ["-5000000000", "5"]),
        ("uuid", ["6f1c8a4e-1c1b-4c1e-9a53-0d7e4f6a9b01", f"{uuid.UUID(int=0)}"]),
        ("text", ["a'b\\c\"d", "Zürich, \"{}\" ,"]), ("varchar(40)", ["x", "y z"]),
        ("numeric(9,2)", ["1.50", "-3.00"]),
        ("timestamptz", ["2026-01-01 00:00+00", "2020-02-02 00:00+00"]),
    ],
)  # fmt: skip
def test_keys_of_any_type(engine, plan, new_embedder, kind, keys):
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f'create table "Amenities" (id {kind} primary key, name text, content text, '
            "embedding vector(256))"
        )
        insert = sa.text(f'insert into "Amenities" values (cast(:key as {kind}), :t, :t)')
        connection.execute(insert, [{"key": key, "t": f"The text of {key}."} for key in keys])
    migration = Migration.open(changed(plan, {"new.placement": "side_table"}), engine)
    expand(migration)
    list(run_backfill(migration, new_embedder))
    check_vectors(migration, new_embedder)
    with engine.begin() as connection:
        connection.execute(sa.text("update \"Amenities\" set content = 'Edited.'"))
    assert stored(migration) == set()
    list(run_backfill(migration, new_embedder))
    check_vectors(migration, new_embedder)


def test_vectors_too_long_for_an_index_are_written_in_half_precision(engine, plan, amenities):
    changes = {"new.placement": "side_table", "new.model": "gemini-embedding-001"}
    migration = Migration.open(changed(plan, changes), engine)
    expand(migration)
    made = np.random.default_rng(1).normal(size=(6, 3072)).astype(np.float32)
    SideWriter(migration).write(ROWS[:3], made[:3])
    SideWriter(migration).write(ROWS, made)  # key by key, as three are there
    found = as_array(vector for _, vector in sorted(vectors(migration).items()))
    np.testing.assert_allclose(found, made, rtol=1e-3, atol=1e-5)


def test_a_text_that_is_not_ascii_has_the_same_digest_here_and_there(
    server, admin, plan, new_embedder
):
    """In a database of another encoding."""
    with autocommit(admin) as connection:
        connection.exec_driver_sql(
            f'create database latin template template0 owner "{ROLE}" '
            "encoding 'LATIN1' locale 'C'"
        )
    server.create("latin", owner=ROLE)
    engine = server.engine(ROLE, "latin")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            'create table "Amenities" (id int primary key, name text, content text, '
            "embedding vector(256))"
        )
        connection.execute(
            sa.text("insert into \"Amenities\" values (1, 'a', :t)"), {"t": "Käse für Zoë"}
        )
    migration = Migration.open(changed(plan, {"new.placement": "side_table"}), engine)
    expand(migration)
    list(run_backfill(migration, new_embedder))
    check_vectors(migration, new_embedder)
    engine.dispose()


@pytest.mark.timeout(100)
def test_many_writers_and_two_followers_leave_every_vector_right(beside, engine, new_embedder):
    stop, errors = threading.Event(), []

    def app(number):
        random = np.random.default_rng(number)
        try:
            while not stop.is_set():
                key, text = int(random.integers(1, 12)), f"Text {random.integers(1, 5)}."
                with engine.begin() as connection:
                    run, values = connection.execute, {"key": key, "text": text}
                    if random.random() < 0.2:
                        run(sa.text('delete from "Amenities" where id = :key'), values)
                    else:
                        run(
                            sa.text(
                                'insert into "Amenities" (id, content) values (:key, :text) '
                                "on conflict (id) do update set content = :text"
                            ),
                            values,
                        )
                    time.sleep(random.random() / 50)
        except Exception as error:
            errors.append(error)

    def fill():
        try:
            list(follow(beside, new_embedder, None, stop))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=app, args=(n,)) for n in range(4)]
    threads += [threading.Thread(target=fill) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(6)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert errors == []
    list(run_backfill(beside, new_embedder))
    check_vectors(beside, new_embedder)
    check_no_orphans(beside)

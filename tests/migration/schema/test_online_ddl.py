"""A schema change beside transactions that hold the table."""

import threading
import time

import pytest
import sqlalchemy as sa

from ragkit.errors import DatabaseError
from ragkit.migration.schema.expansion import expand
from tests.conftest import with_plan


def test_expand_waits_for_a_lock_and_then_succeeds(migration):
    holding, release = threading.Event(), threading.Event()

    def hold_lock():
        with migration.engine.begin() as connection:
            connection.execute(sa.select(migration.table.c.id))
            holding.set()
            release.wait(30)

    thread = threading.Thread(target=hold_lock)
    thread.start()
    holding.wait(5)
    threading.Timer(1.5, release.set).start()
    assert expand(migration) is True
    thread.join()


def test_no_statement_waits_behind_an_expand_that_waits(migration):
    longest_seconds, expanded = 0.0, threading.Event()
    update = sa.update(migration.table).where(migration.key == 1).values(name="Busy")
    with migration.engine.connect() as idle_in_transaction:
        idle_in_transaction.execute(sa.select(migration.table.c.id))
        time.sleep(0.2)
        expanding = threading.Thread(target=lambda: expanded.set() if expand(migration) else None)
        expanding.start()
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            start = time.monotonic()
            with migration.engine.begin() as connection:
                connection.execute(update)
            longest_seconds = max(longest_seconds, time.monotonic() - start)
    expanding.join()
    assert expanded.is_set()
    assert longest_seconds < 0.4  # behind a waiting ALTER TABLE it would be the lock_timeout


def test_a_lock_that_is_not_released_is_an_error_that_names_its_holder(migration):
    impatient = with_plan(migration, {"database.lock_timeout_ms": 100, "database.ddl_seconds": 0.5})
    with migration.engine.begin() as holder:
        holder.execute(sa.select(migration.table.c.id))
        pid = holder.scalar(sa.text("select pg_backend_pid()"))
        with pytest.raises(
            DatabaseError, match=rf"pid {pid} \(retrieval-service, in a transaction"
        ):
            expand(impatient)
    assert "ragkit" not in sa.inspect(migration.engine).get_schema_names()

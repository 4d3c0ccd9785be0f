"""A schema change beside transactions that hold the table."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

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
    with migration.engine.connect() as idle_in_transaction:
        idle_in_transaction.execute(sa.select(migration.table.c.id))
        assert longest_update(migration) < 0.4


def test_nor_where_the_other_transactions_are_hidden_as_those_of_autovacuum_are(migration, server):
    """Of the sessions of other roles, a role sees the locks alone."""
    admin = server.engine(database=migration.engine.url.database)
    with admin.connect() as vacuum:
        vacuum.exec_driver_sql('lock table "Amenities" in share update exclusive mode')
        assert longest_update(migration) < 0.4
        impatient = with_plan(migration, {"database.ddl_seconds": 0.5})
        with pytest.raises(DatabaseError, match="VACUUM, ANALYZE or an index build"):
            expand(impatient)
    admin.dispose()


def longest_update(migration):
    """In s, of the app's, while an expand waits for another transaction. Behind a waiting ALTER
    TABLE it would be the lock_timeout."""
    longest_seconds, update = 0.0, sa.update(migration.table).where(migration.key == 1)
    time.sleep(0.2)
    patient = with_plan(migration, {"database.ddl_seconds": 1.5})
    with ThreadPoolExecutor(1) as executor:
        expanding = executor.submit(expand, patient)
        while not expanding.done():
            start = time.monotonic()
            with migration.engine.begin() as connection:
                connection.execute(update.values(name="Busy"))
            longest_seconds = max(longest_seconds, time.monotonic() - start)
        assert isinstance(expanding.exception(), DatabaseError)
    return longest_seconds


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

import threading
import time
from dataclasses import replace

import pytest
import sqlalchemy as sa

from ragkit import contract
from ragkit.errors import DatabaseError
from ragkit.migration import backfill, ledger, schema
from tests.conftest import TEXTS, column_of


@pytest.fixture
def filled(migration, new_embedder):
    schema.expand(migration)
    list(backfill.fill(migration, new_embedder))
    return migration


def update(migration, **values):
    with migration.engine.begin() as connection:
        connection.execute(sa.update(migration.table).where(migration.key == 1).values(values))


def new_vectors(migration):
    return column_of(migration.engine, migration, migration.plan.new_column)


def test_expand_adds_column_contract_and_ledger_once(migration):
    assert schema.expand(migration) is True
    assert schema.expand(migration) is False
    assert new_vectors(migration) == dict.fromkeys(range(1, 7))
    with migration.engine.connect() as connection:
        held = {b.column: b for b in contract.bindings(connection, migration.plan.qualified)}
        assert ledger.phase(connection, migration.id) == ledger.EXPANDED
    assert held["embedding"].state == contract.READY
    assert held["new vector"].state == contract.FILLING
    assert held["new vector"].space == migration.new.space


def test_the_old_column_is_untouched(migration):
    before = column_of(migration.engine, migration, "embedding")
    schema.expand(migration)
    assert column_of(migration.engine, migration, "embedding") == before


def test_a_changed_text_clears_the_new_vector(filled):
    update(filled, content="Something else is a shop. New.")
    assert new_vectors(filled)[1] is None
    assert all(new_vectors(filled)[key] is not None for key in range(2, 7))


def test_another_change_leaves_it(filled):
    before = new_vectors(filled)[1]
    update(filled, name="Renamed")
    update(filled, content=TEXTS[0])
    assert new_vectors(filled)[1] == before


def test_a_text_written_together_with_its_vector_keeps_it(filled, new_embedder):
    vector = new_embedder.embed_query("Both at once")
    update(filled, **{"content": "Both at once", "new vector": vector})
    assert new_vectors(filled)[1] == pytest.approx(vector.tolist())


def test_a_text_changed_by_another_trigger_counts_too(filled):
    with filled.engine.begin() as connection:
        connection.exec_driver_sql(
            "create function shout() returns trigger language plpgsql as "
            "$$ begin new.content := upper(new.name); return new; end $$"
        )
        connection.exec_driver_sql(
            'create trigger shout before update on "Amenities" '
            "for each row execute function shout()"
        )
    update(filled, name="Loud")
    assert new_vectors(filled)[1] is None


def test_expand_waits_for_a_lock_in_short_turns_and_then_succeeds(migration):
    holding, release = threading.Event(), threading.Event()

    def hold():
        with migration.engine.begin() as connection:
            connection.execute(sa.select(migration.table.c.id))
            holding.set()
            release.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait(5)
    threading.Timer(1.5, release.set).start()
    assert schema.expand(migration) is True
    thread.join()


def test_nobody_waits_behind_an_expand_that_waits(migration):
    longest, done = 0.0, threading.Event()
    with migration.engine.connect() as forgotten:
        forgotten.execute(sa.select(migration.table.c.id))
        time.sleep(0.2)
        expanding = threading.Thread(target=lambda: done.set() if schema.expand(migration) else 0)
        expanding.start()
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            began = time.monotonic()
            update(migration, name="Busy")
            longest = max(longest, time.monotonic() - began)
    expanding.join()
    assert done.is_set()
    assert longest < 0.4  # seconds; behind a waiting ALTER TABLE it would be the lock_timeout


def test_a_lock_that_stays_is_an_error_that_names_its_holder(migration):
    plan = migration.plan.model_copy(update={"lock_timeout_ms": 100, "ddl_seconds": 0.5})
    with migration.engine.begin() as holder:
        holder.execute(sa.select(migration.table.c.id))
        pid = holder.scalar(sa.text("select pg_backend_pid()"))
        with pytest.raises(
            DatabaseError, match=rf"pid {pid} \(retrieval-service, in a transaction"
        ):
            schema.expand(replace(migration, plan=plan))
    assert "ragkit" not in sa.inspect(migration.engine).get_schema_names()

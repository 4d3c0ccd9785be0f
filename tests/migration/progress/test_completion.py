import sqlalchemy as sa

from ragkit.migration import phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.progress.completion import complete, needs_audit, start_pass
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work import queue, sweep


def insert(migration, key):
    with migration.engine.begin() as connection:
        row = {"id": key, "name": "n", "content": "A new shop."}
        connection.execute(sa.insert(migration.table).values(row))


def walk(migration):
    sweep.begin(migration)
    while claimed := sweep.claim(migration, "me"):
        sweep.finish(migration, "me", claimed)


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
    last = start_pass(filled)
    insert(filled, 100)
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

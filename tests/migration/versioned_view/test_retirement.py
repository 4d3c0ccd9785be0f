"""The old column goes, the new one takes its name, and no app that reads the view fails."""

import threading
import time

import pg8000.native
import pytest
import sqlalchemy as sa

from ragkit.deploy.own_app.confirmed import ConfirmedApp
from ragkit.errors import GateError
from ragkit.migration import ledger, phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.retirement import retire
from ragkit.migration.schema import index
from ragkit.migration.schema.trigger_faults import trigger_faults
from ragkit.retrieval import contract
from tests.conftest import NEW, changed, column_of, with_plan
from tests.migration.backfill.test_follower import following, wait_for
from tests.migration.partitions.tables import run
from tests.migration.versioned_view.conftest import VIEW, prepare, rows

RETIRE = {"old.retire": True, "database.url": "postgresql+pg8000://here/there"}


class App(ConfirmedApp):
    def __init__(self):
        super().__init__(lambda: NEW, lambda model: model)


@pytest.fixture
def cut_over(viewed, old_embedder) -> Migration:
    viewed.record(phases.CUT_OVER)
    return with_plan(viewed, RETIRE)


def schemas(engine):
    return sa.inspect(engine).get_schema_names()


def columns(engine):
    return [c["name"] for c in sa.inspect(engine).get_columns("Amenities")]


def test_it_leaves_no_view_and_the_usual_name_is_the_new_column(cut_over, engine, new_embedder):
    before = column_of(engine, cut_over, "new vector")
    retirement = retire(cut_over, App())
    assert retirement.message == "column embedding is dropped; there is no way back"
    assert "ragkit_v2" not in schemas(engine)
    assert "new vector" not in columns(engine)
    again = Migration.open(cut_over.plan.renamed("embedding", "new vector"), engine)
    assert column_of(engine, again, "embedding") == before
    with engine.connect() as connection:
        [binding] = contract.read_bindings(connection, "public.Amenities")
        stored = connection.exec_driver_sql("select column_name from ragkit.contract").scalars()
        assert (binding.column, list(stored)) == ("embedding", ["embedding"])
        assert trigger_faults(connection, again) == []
        assert index.state(connection, again).valid
    assert "before" in retire(again, App()).message
    rows(engine, "update \"Amenities\" set content = 'Later.' where id = 1")
    assert column_of(engine, again, "embedding")[1] is None
    list(run_backfill(again, new_embedder))
    assert column_of(engine, again, "embedding")[1] is not None


def test_an_app_that_names_the_schema_keeps_the_view_until_it_is_moved(cut_over, engine):
    by_schema = with_plan(cut_over, {"app.view_by": "schema"})
    assert "stays and shows the table as it is now (app.view_by" in retire(by_schema, App()).message
    insert = f"insert into {VIEW} (content, embedding) values ('x', :v) returning embedding::text"
    assert rows(engine, insert, v=str([1.0] * 64))
    again = Migration.open(by_schema.plan, engine)
    assert "stays and shows" in retire(again, App()).message
    assert "ragkit_v2" in schemas(engine)
    moved = Migration.open(changed(by_schema.plan, {"app.view_by": "search_path"}), engine)
    assert f"the view {VIEW} is gone" in retire(moved, App()).message
    assert "ragkit_v2" not in schemas(engine)
    assert "before" in retire(moved, App()).message


def test_a_session_that_has_asked_by_the_schema_keeps_the_view(cut_over, engine, database):
    with native(database) as reader:
        reader.run(f"select count(*) from {VIEW}")
        assert "sessions have asked for it by its schema: pid " in retire(cut_over, App()).message
        assert reader.run(f"select count(*) from {VIEW}") == [[6]]
    deadline = time.monotonic() + 10
    while "is gone" not in (message := retire(cut_over, App()).message):
        assert time.monotonic() < deadline, message
    assert "ragkit_v2" not in schemas(engine)


def test_a_schema_that_somebody_else_made_or_uses_stays(ready, engine):
    run(engine, "create schema ragkit_v2")
    prepare(ready)
    ready.record(phases.CUT_OVER)
    retire(with_plan(ready, RETIRE), App())
    assert "ragkit_v2" in schemas(engine)
    assert rows(engine, "select count(*) from pg_class where relname = 'Amenities'") == [(1,)]


def test_a_view_by_hand_of_the_old_column_refuses_the_retirement(cut_over, engine):
    run(engine, 'create view mine as select id, embedding from "Amenities"')
    with pytest.raises(GateError, match=r"mine shows embedding: replace it .*nothing was changed"):
        retire(cut_over, App())
    run(engine, "drop view mine")
    assert retire(cut_over, App()).done


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ('alter table "Amenities" add norm float generated always as (vector_norm(embedding)) '
         "stored", "default value for column norm"),
        ('create trigger mine before update of embedding on "Amenities" for each row '
         "execute function suppress_redundant_updates_trigger()", "trigger mine"),
        ('create publication mine for table "Amenities" (id, embedding)', "publication mine"),
    ],
)  # fmt: skip
def test_what_needs_the_old_column_refuses_the_retirement(cut_over, engine, statement, named):
    run(engine, statement, 'alter table "Amenities" add check (embedding is not null or id > 0)')
    with pytest.raises(GateError, match=f"{named}.* needs embedding: .*nothing was changed"):
        retire(cut_over, App())


def native(database):
    connection = pg8000.native.Connection(
        database.username, database=database.database, unix_sock=database.query["unix_sock"]
    )

    class Closing:
        def __enter__(self):
            return connection

        def __exit__(self, *_):
            connection.close()

    return Closing()


def test_open_prepared_statements_and_transactions_go_on_through_it(cut_over, engine, database):
    """By search_path, as an app has it: none fails, and each answer is the new vectors'."""
    stop, answers, faults = threading.Event(), [], []
    vector = str([0.25] * 64)

    def ask():
        with native(database) as app:
            app.run("set search_path = ragkit_v2, public")
            search = app.prepare(
                'select id, vector_dims(embedding) from "Amenities" '
                "order by embedding <=> cast(:v as vector) limit 1"
            )
            edit = app.prepare(
                'update "Amenities" set name = :n, embedding = embedding where id = 2'
            )
            while not stop.is_set():
                try:
                    answers.append(search.run(v=vector)[0][1])
                    edit.run(n="edited")
                    app.run("begin")
                    app.run('select count(embedding) from "Amenities"')
                    app.run("insert into \"Amenities\" (content) values ('y')")
                    app.run("rollback")
                except Exception as error:
                    faults.append(error)
                    return

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    before = len(answers)
    retire(cut_over, App())
    at = len(answers)
    time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join()
    assert faults == []
    assert "ragkit_v2" not in schemas(engine)
    assert min(before, len(answers) - at) > 20
    assert set(answers) == {64}


def test_a_follower_goes_on_through_it(cut_over, engine, new_embedder, old_embedder):
    plan = cut_over.plan
    with following(Migration.open(plan, engine), new_embedder, old_embedder) as faults:
        retire(cut_over, App())
        rows(engine, "update \"Amenities\" set content = 'After it.' where id = 1")
        empty = 'select count(*) from "Amenities" where embedding is null'
        wait_for(lambda: rows(engine, empty) == [(0,)])
    assert faults == []


def test_killed_in_the_middle_it_runs_again(cut_over, engine):
    """Each statement of the transaction may be the last one."""
    number, done = 0, False
    plan = cut_over.plan
    while not done:
        number += 1
        left = number

        def die(_, __, statement, *___):
            nonlocal left
            is_part = statement.startswith(("lock table", "drop", "alter table", "create or"))
            left -= is_part
            if is_part and not left:
                raise KeyboardInterrupt

        sa.event.listen(engine, "after_cursor_execute", die)
        try:
            done = retire(cut_over, App()).done
        except KeyboardInterrupt:
            pass
        finally:
            sa.event.remove(engine, "after_cursor_execute", die)
        if not done:
            cut_over = Migration.open(plan, engine)
            assert {"embedding", "new vector"} <= set(columns(engine))
            assert cut_over.phase() == phases.CUT_OVER
    assert number > 8
    assert cut_over.phase() == phases.RETIRED


def test_what_the_ledger_says_of_it(cut_over, engine):
    retire(cut_over, App())
    make = ["view made", "cut over", "columns renamed", "view dropped", "retired"]
    with engine.connect() as connection:
        kinds = [e.kind for e in ledger.events(connection, cut_over.id)]
    assert [kind for kind in kinds if kind in make] == make

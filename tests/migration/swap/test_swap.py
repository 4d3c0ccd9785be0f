"""The swap of names: all or nothing, and everything that knows a column follows."""

import threading
from typing import ClassVar

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.deploy.own_app.asked import AskedApp
from ragkit.errors import GateError, SchemaError
from ragkit.migration import ledger, phases
from ragkit.migration.backfill.follower import follow
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.backfill.writing.writer import Writer
from ragkit.migration.migration import Migration
from ragkit.migration.retirement import drop_old_column
from ragkit.migration.schema.expansion import expand, keep_old_column_current
from ragkit.migration.schema.trigger_faults import trigger_faults
from ragkit.migration.status import read_status
from ragkit.migration.swap.names import RENAMED
from ragkit.migration.swap.swap import measure_window, swap, undo_swap
from ragkit.migration.work.rows import Row
from ragkit.retrieval import contract
from tests.conftest import NEW, OLD, TEXTS, changed, column_of, embedder_of, make_table, with_plan
from tests.migration.partitions.tables import expanded, run
from tests.migration.swap.conftest import WAY, prepare
from tests.migration.test_text_table import make_tables, text_plan
from tests.migration.versioned_view.conftest import rows

DOWN = AskedApp("http://127.0.0.1:9")
TWIN = "tests.stand_ins.slow:Slow"
"""Of as many dimensions as NEW."""


class Running(AskedApp):
    """One that answers and that no script stops."""

    def stop(self, model):
        return False


UP = Running("http://127.0.0.1:9")


def columns(engine):
    return [c["name"] for c in sa.inspect(engine).get_columns("Amenities")]


def renames(migration):
    with migration.engine.connect() as connection:
        events = ledger.events(connection, migration.id)
    return [e.detail for e in events if e.kind == RENAMED]


def test_the_usual_name_is_the_new_column_and_everything_follows(ready, engine):
    old, new = (column_of(engine, ready, name) for name in ("embedding", "new vector"))
    assert swap(ready, UP) is True
    assert {"embedding", "embedding_old"} <= set(columns(engine))
    assert "new vector" not in columns(engine)
    again = Migration.open(changed(ready.plan.renamed("embedding", "new vector"), {}), engine)
    for migration in (ready, again):  # also the one that was open
        assert (migration.plan.old.column, migration.plan.new.column) == (
            "embedding_old", "embedding",
        )  # fmt: skip
        assert column_of(engine, migration, "embedding_old") == old
        assert column_of(engine, migration, "embedding") == new
        assert migration.id == "public.Amenities: embedding -> new vector"
    with engine.connect() as connection:
        bound = {
            b.column: b.space.dimension
            for b in contract.read_bindings(connection, "public.Amenities")
        }
        assert bound == {"embedding_old": 256, "embedding": 64}
        stored = connection.exec_driver_sql("select column_name from ragkit.contract").scalars()
        assert set(stored) == set(bound)
        assert (
            trigger_faults(connection, again) == trigger_faults(connection, again.reversed()) == []
        )
    assert read_status(again, NEW).done == 6
    [detail] = renames(again)
    assert detail["grounds"].startswith("the dimensions differ")
    assert 0 <= measure_window(again)["window_seconds"] < 60
    assert swap(ready, UP) is False
    assert len(renames(again)) == 1


def test_the_way_back_is_the_swap_back_and_follow_fills_the_old_column(
    ready, engine, old_embedder, new_embedder
):
    before = columns(engine)
    swap(ready, UP)
    ready.record(phases.CUT_OVER)
    insert = 'insert into "Amenities" (id, content, embedding) values (99, :text, :vector)'
    vector = str(list(map(float, new_embedder.embed_query("By the new app."))))
    rows(engine, insert, text="By the new app.", vector=vector)
    stop = threading.Event()
    for _ in follow(ready, new_embedder, old_embedder, stop):
        stop.set()
    assert swap(ready, UP, back=True) is True
    assert columns(engine) == before
    for name, embedder in (("embedding", old_embedder), ("new vector", new_embedder)):
        for key, stored in column_of(engine, ready, name).items():
            [[text]] = rows(engine, f'select content from "Amenities" where id = {key}')
            assert np.allclose(stored, embedder.embed_query(text), atol=1e-4)


def test_a_retirement_drops_the_old_column_by_its_name_of_now(ready, engine, new_embedder):
    swap(ready, UP)
    ready.record(phases.CUT_OVER)
    with engine.begin() as connection:
        drop_old_column(connection, ready)
    assert "embedding_old" not in columns(engine)
    again = Migration.open(changed(ready.plan.renamed("embedding", "new vector"), {}), engine)
    rows(engine, "update \"Amenities\" set content = 'Later.' where id = 1")
    list(run_backfill(again, new_embedder))
    assert column_of(engine, again, "embedding")[1] is not None


@pytest.fixture
def twins(engine, plan):
    """Both models make 64 dimensions."""
    like = changed(plan, {**WAY, "old.model": NEW, "new.model": TWIN})
    make_table(engine, like, TEXTS)
    return prepare(engine, like, embedder_of(TWIN))


def test_equal_dimensions_are_refused_unless_the_app_is_down_or_somebody_says_why(twins, engine):
    before = columns(engine)
    with pytest.raises(GateError, match=r"64 dimensions, .* without an error; stop"):
        swap(twins, UP)
    assert (columns(engine), renames(twins)) == (before, [])
    assert swap(twins, DOWN)
    assert renames(twins)[-1]["grounds"] == "the app was down"
    said = with_plan(twins, {"app.mixed_window": "nobody asks at night"})
    assert swap(said, UP, back=True)
    assert renames(twins)[-1]["grounds"] == "nobody asks at night"


def test_where_a_person_restarts_the_app_it_must_be_down_first(ready):
    by_hand = with_plan(ready, {"app.target": "manual"})
    with pytest.raises(GateError, match="until somebody restarts the app, each of its searches"):
        swap(by_hand, UP)
    assert swap(by_hand, DOWN)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ('alter table "Amenities" add embedding_old int', "a column 'embedding_old', a name that"),
        ('create view mine as select id, embedding from "Amenities"', "mine would go on to show"),
        ('create view mine as select id, "new vector" from "Amenities"', "mine would go on to"),
        ('create materialized view mine as select * from "Amenities"', "mine would go on to show"),
    ],
)
def test_what_somebody_made_by_hand_refuses_it_before_the_app_is_stopped(
    ready, engine, statement, fault
):
    run(engine, statement)
    before = columns(engine)
    with pytest.raises(SchemaError, match=f"{fault}.*nothing was changed"):
        swap(ready, None)  # no app is touched
    assert columns(engine) == before


def test_a_write_that_was_on_its_way_lands_in_no_renamed_column(twins, engine):
    """A worker of another process that has read its rows before the swap: its column's name is
    that of the other model's vectors now, of the same dimension."""
    swap(twins, DOWN)
    stale = Migration.open(twins.plan, engine).reversed()  # old model, into embedding_old
    forward = Migration.open(twins.plan, engine)  # new model, into embedding
    swap(twins, DOWN, back=True)
    run(engine, 'update "Amenities" set embedding = null where id = 1')
    vector = np.ones((1, 64), np.float32)
    [[text]] = rows(engine, 'select content from "Amenities" where id = 1')
    assert forward.plan.new.column == "embedding"
    assert Writer(forward).write([Row("1", text)], vector) == 0
    with pytest.raises(Exception, match="embedding_old"):
        Writer(stale).write([Row("1", text)], vector)
    assert column_of(engine, twins, "embedding")[1] is None
    back = Migration.open(twins.plan, engine).reversed()
    assert Writer(back).write([Row("1", text)], vector) == 1


def test_a_follower_goes_on_through_a_swap_of_another_process(
    ready, engine, old_embedder, new_embedder
):
    stop, seen, faults = threading.Event(), threading.Event(), []

    def keep():
        try:
            for _ in follow(Migration.open(ready.plan, engine), new_embedder, old_embedder, stop):
                seen.set()
        except Exception as error:
            faults.append(error)

    follower = threading.Thread(target=keep)
    follower.start()
    assert seen.wait(20)
    for key, back in ((97, False), (98, True), (99, False)):
        swap(ready, UP, back=back)
        insert = 'insert into "Amenities" (id, content) values (:key, :text)'
        rows(engine, insert, key=key, text="Between two swaps.")
    query = 'select count(*) from "Amenities" where embedding is null or embedding_old is null'
    for _ in range(200):
        if rows(engine, query) == [(0,)]:
            break
        stop.wait(0.1)
    stop.set()
    follower.join()
    assert faults == []
    assert rows(engine, query) == [(0,)]


@pytest.mark.parametrize("back", [False, True])
def test_killed_in_the_middle_it_changes_nothing_and_runs_again(ready, engine, back):
    if back:
        swap(ready, UP)
    plan, before, number, done = ready.plan, columns(engine), 0, False
    while not done:
        number += 1
        left = number

        def die(_, __, statement, *___):
            nonlocal left
            if statement.lower().startswith(("lock", "alter", "create", "update ragkit", "insert")):
                left -= 1
                if not left:
                    raise KeyboardInterrupt

        sa.event.listen(engine, "after_cursor_execute", die)
        try:
            done = swap(Migration.open(plan, engine), UP, back=back)
        except KeyboardInterrupt:
            assert columns(engine) == before
        finally:
            sa.event.remove(engine, "after_cursor_execute", die)
    assert number > 10
    assert columns(engine) != before


def test_two_operators_at_once_swap_once(ready, engine):
    both = [Migration.open(ready.plan, engine) for _ in range(2)]
    threads = [threading.Thread(target=swap, args=(migration, UP)) for migration in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(renames(ready)) == 1
    assert {m.plan.new.column for m in both} == {"embedding"}


def test_a_deployment_that_failed_is_undone(ready, engine):
    before = columns(engine)
    undo_swap(ready)
    swap(ready, UP)
    undo_swap(ready)
    assert columns(engine) == before
    assert renames(ready)[-1]["grounds"] == "the deployment failed"


def test_a_script_that_has_stopped_the_app_starts_it_again_when_the_swap_fails(ready, engine):
    class Scripted(AskedApp):
        """Records what is run."""

        ran: ClassVar[list[str]] = []

        def stop(self, model):
            self.ran.append(f"stop for {model}")
            return True

        def switch(self, model, test, *, reuse):
            self.ran.append(f"start {model}")

    plan = {"app.stop": "true", "database.ddl_seconds": 0.5}
    app, hasty = Scripted(""), with_plan(ready, plan)
    with engine.connect() as holder:
        holder.exec_driver_sql('select 1 from "Amenities" limit 1')
        with pytest.raises(Exception, match="locked by others"):
            swap(hasty, app)
    assert app.ran == [f"stop for {NEW}", f"start {OLD}"]


def test_a_partitioned_table_is_swapped_as_a_whole(engine, plan, new_embedder, old_embedder):
    migration = expanded(engine, changed(plan, WAY), TEXTS)
    list(run_backfill(migration, new_embedder))
    keep_old_column_current(migration, "the swap")
    assert swap(migration, UP)
    rows(engine, "update \"Amenities\" set content = 'Edited.' where id in (1, 2)")
    insert = 'insert into "Amenities" (id, content) values (150, :text)'
    rows(engine, insert, text="Inserted.")
    for side, embedder in ((migration, new_embedder), (migration.reversed(), old_embedder)):
        vectors = column_of(engine, migration, side.plan.new.column)
        assert {key for key, vector in vectors.items() if vector is None} == {1, 2, 150}
        list(run_backfill(side, embedder))
        assert None not in column_of(engine, migration, side.plan.new.column).values()


def test_a_text_in_another_table_still_clears_both_vectors(engine):
    make_tables(engine)
    migration = Migration.open(text_plan(**WAY), engine)
    expand(migration)
    list(run_backfill(migration, embedder_of(NEW)))
    keep_old_column_current(migration, "the swap")
    for number, back in enumerate((False, True), 1):
        assert swap(migration, UP, back=back)
        edit = f"update \"The Docs\" set body = 'Edited {number}.' where doc_id = :id"
        rows(engine, edit, id=number + 1)
        for side in (migration, migration.reversed()):
            vectors = column_of(engine, migration, side.plan.new.column)
            assert [key for key, vector in vectors.items() if vector is None] == [number + 1]
            list(run_backfill(side, embedder_of(side.plan.new.model)))

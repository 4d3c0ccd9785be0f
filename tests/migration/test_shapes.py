"""Keys of several columns, texts that are expressions, and filters, from expand to retirement."""

import time

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from ragkit.errors import SchemaError
from ragkit.migration import phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.inspection.whose.vector_sample import sample_old
from ragkit.migration.migration import Migration
from ragkit.migration.preview.steps import plan_statements
from ragkit.migration.preview.trial import run_trial
from ragkit.migration.progress.audit import audit
from ragkit.migration.retirement import drop_old_column, has_others
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand, keep_old_column_current
from ragkit.migration.schema.trigger_faults import trigger_faults
from ragkit.migration.status import read_status
from ragkit.retrieval.contract import read_bindings
from ragkit.retrieval.search import nearest_values
from tests.conftest import ROLE, changed, make_plan
from tests.migration.backfill.machine import Backfilling
from tests.migration.shapes import insert, make_shaped, shaped_plan, shaped_rows
from tests.stand_ins.letters import Letters

MODELS = st.sampled_from(["a", "b"])


def run(migration, *statements):
    with migration.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture(params=[False, True], ids=["plain", "partitioned"])
def shaped(engine, request):
    make_shaped(engine, request.param)
    migration = Migration.open(shaped_plan(), engine)
    expand(migration)
    return migration


def fill(migration, embedder):
    list(run_backfill(migration, embedder))


def check(migration):
    """Of the filter's rows each text has its vector; another row has none."""
    for collection, text, vector in shaped_rows(migration).values():
        if collection == "a" and text and text.strip():
            assert vector == pytest.approx(Letters().embed_query(text), abs=1e-6)
        else:
            assert vector is None


def test_its_rows_are_filled_and_no_others(shaped, new_embedder):
    fill(shaped, new_embedder)
    check(shaped)
    counts = audit(shaped)
    assert (counts.rows, counts.filled) == (6, 6)
    assert shaped.phase() == phases.BACKFILLED
    index.build(shaped)
    assert read_status(shaped, None).total == 6


def test_it_is_previewed_and_inspected_before_anything_is_changed(engine):
    make_shaped(engine)
    migration = Migration.open(shaped_plan(), engine)
    assert run_trial(migration).placements.column.seconds > 0
    told = [s.sql for s in plan_statements(migration, "a minute", "a second")]
    assert any("language sql immutable" in sql for sql in told)
    sample = sample_old(migration)
    assert len(sample.keys) == 6
    assert sample.keys[0].startswith("{")
    assert sample.texts[migration.plan.table.content][0].count("\n") == 1


@pytest.mark.parametrize(
    ("statement", "cleared"),
    [
        ("update \"Amenities\" set title = 'New' where id = 1", True),
        ('update "Amenities" set payload = \'{"data": "New."}\' where id = 1', True),
        ('update "Amenities" set payload = payload || \'{"seen": 1}\' where id = 1', False),
        ('update "Amenities" set "100%%" = \'x\' where id = 1', False),
        ("update \"Amenities\" set collection = 'b' where id = 1", False),
    ],
)
def test_what_the_expression_reads_is_watched(shaped, new_embedder, statement, cleared):
    fill(shaped, new_embedder)
    before = shaped_rows(shaped)["{u,1}"][2]
    run(shaped, statement)
    assert shaped_rows(shaped)["{u,1}"][2] == (None if cleared else before)


def test_rows_that_come_into_the_filter_are_filled(shaped, new_embedder):
    fill(shaped, new_embedder)
    run(shaped, "update \"Amenities\" set collection = 'a' where id = 7")
    with shaped.engine.begin() as connection:
        insert(connection, "t", 8, "a", "New. Row.")
        insert(connection, "t", 9, "b", "Not ours. Row.")
    with shaped.engine.connect() as connection:
        queued = connection.scalars(sa.text("select key from ragkit.queue order by key")).all()
    assert queued == ["{t,8}", "{u,7}"]
    fill(shaped, new_embedder)
    check(shaped)


def test_a_key_may_hold_anything(shaped, new_embedder):
    if "partitioned" in str(shaped_rows(shaped)):
        return
    keys = ['a"b', "a,b", "{x}", "NULL", "", " ", "\\", "%s"]
    with shaped.engine.begin() as connection:
        if connection.scalar(sa.text("select to_regclass('part_t')")):
            connection.exec_driver_sql('create table rest partition of "Amenities" default')
        for number, key in enumerate(keys):
            insert(connection, key, 100 + number, "a", f"Key {number}. Text.")
    fill(shaped, new_embedder)
    assert audit(shaped).filled == 6 + len(keys)


def test_renamed_columns_are_followed(shaped, new_embedder):
    fill(shaped, new_embedder)
    for old, new in (("tenant", "owner"), ("collection", "shelf"), ("title", "head")):
        run(shaped, f'alter table "Amenities" rename {old} to {new}')
    run(
        shaped,
        "update \"Amenities\" set head = 'Edited' where id = 1",
        'insert into "Amenities" (owner, id, shelf, head, payload) values '
        "('t', 50, 'a', 'Later', '{\"data\": \"x\"}'), ('t', 51, 'b', 'Other', '{}')",
    )
    with shaped.engine.connect() as connection:
        queued = connection.scalars(sa.text("select key from ragkit.queue order by key")).all()
    assert queued == ["{t,50}", "{u,1}"]
    assert not trigger_faults(shaped.engine.connect(), shaped)


def test_two_models_stand_side_by_side_in_one_table(engine, new_embedder):
    make_shaped(engine)
    first = Migration.open(shaped_plan(), engine)
    second_plan = shaped_plan(**{"table.where": "collection = 'b'", "new.column": "other"})
    second_plan = changed(second_plan, {"old.model": "unknown/256"})
    expand(first)
    expand(Migration.open(second_plan, engine))
    second = Migration.open(second_plan, engine)
    fill(first, new_embedder)
    fill(second, new_embedder)
    with engine.connect() as connection:
        bound = {(b.column, b.where): b for b in read_bindings(connection, "public.Amenities")}
        filled = connection.execute(
            sa.text('select collection, count("new vector"), count(other) from "Amenities" '
                    "group by 1 order by 1")
        ).all()  # fmt: skip
    assert len(bound) == 4
    assert {b.state for b in bound.values()} == {"ready"}
    assert filled == [("a", 6, 0), ("b", 0, 1)]


def test_a_json_path_that_is_missing_in_some_rows_leaves_them_empty(engine, new_embedder):
    make_shaped(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("update \"Amenities\" set payload = '{}' where id = 2")
    migration = Migration.open(shaped_plan(), engine)
    expand(migration)
    fill(migration, new_embedder)
    counts = audit(migration)
    assert (counts.filled, counts.empty, counts.pending) == (5, 1, 0)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("partitioned", [False, True], ids=["plain", "partitioned"])
def test_every_vector_belongs_to_its_text_in_any_order(server, new_embedder, partitioned):
    server.create(f"shapes {partitioned}", owner=ROLE)
    engine = server.engine(ROLE, f"shapes {partitioned}")
    plan = changed(shaped_plan(), {"backfill.batch_size": 2})
    titles = st.sampled_from([None, "", "Tea", "Maps", "Wool"])
    payloads = st.sampled_from([None, "{}", '{"data": "x"}', '{"data": "y"}', '{"data": " "}'])

    class Interleaving(Backfilling):
        embedder = new_embedder

        def __init__(self):
            super().__init__()
            with engine.begin() as connection:
                connection.exec_driver_sql('drop table if exists "Amenities" cascade')
                connection.exec_driver_sql("drop schema if exists ragkit cascade")
            make_shaped(engine, partitioned)
            self.migration = Migration.open(plan, engine)
            expand(self.migration)

        @rule(key=st.integers(1, 9), title=titles, payload=payloads, collection=MODELS)
        def write(self, key, title, payload, collection):
            with engine.begin() as connection:
                connection.execute(
                    sa.text("""
                        insert into "Amenities" (tenant, id, collection, title, payload)
                        values (:tenant, :id, :collection, :title, cast(:payload as jsonb))
                        on conflict (tenant, id) do update set title = excluded.title,
                            payload = excluded.payload, collection = excluded.collection
                    """),
                    {"tenant": "tu"[key % 2], "id": key, "collection": collection,
                     "title": title, "payload": payload},
                )  # fmt: skip

        @rule(key=st.integers(1, 9), collection=MODELS)
        def move(self, key, collection):
            with engine.begin() as connection:
                change = sa.text('update "Amenities" set collection = :c where id = :id')
                connection.execute(change, {"c": collection, "id": key})

        @rule(key=st.integers(1, 9))
        def delete(self, key):
            with engine.begin() as connection:
                connection.execute(sa.text('delete from "Amenities" where id = :id'), {"id": key})

        @invariant()
        def no_vector_is_stale(self):
            for collection, text, vector in shaped_rows(self.migration).values():
                if collection == "a" and vector is not None:  # others are not searched by it
                    assert vector == pytest.approx(Letters().embed_query(text), abs=1e-6)

        def teardown(self):
            self.finish()
            for collection, text, vector in shaped_rows(self.migration).values():
                if collection == "a":
                    assert (vector is not None) == bool(text and text.strip())

    run_state_machine_as_test(
        Interleaving, settings=settings(max_examples=8, stateful_step_count=12)
    )
    engine.dispose()


def test_the_old_column_stays_until_no_collection_needs_it(engine, new_embedder):
    """Each collection is retired by itself; the last one takes the column with it."""
    make_shaped(engine)
    second_plan = changed(shaped_plan(), {"table.where": "collection = 'b'", "new.column": "other"})
    first, second = (Migration.open(plan, engine) for plan in (shaped_plan(), second_plan))
    for migration in (first, second):
        expand(migration)
        fill(migration, new_embedder)
        migration.record(phases.CUT_OVER)
        keep_old_column_current(migration)
    assert "embedding" in columns(engine)
    with engine.begin() as connection:
        drop_old_column(connection, first)
        assert has_others(connection, first)
    assert "embedding" in columns(engine)
    assert second.phase() == phases.CUT_OVER
    with engine.begin() as connection:
        drop_old_column(connection, second)
    assert "embedding" not in columns(engine)
    with engine.connect() as connection:
        assert not has_others(connection, second)
        bound = read_bindings(connection, "public.Amenities")
    assert {b.column for b in bound} == {"new vector", "other"}


def columns(engine):
    return {column["name"] for column in sa.inspect(engine).get_columns("Amenities")}


def test_a_text_that_was_changed_outside_of_the_filter_is_embedded_again(shaped, new_embedder):
    fill(shaped, new_embedder)
    for change in ("collection = 'b'", "title = 'Changed'", "collection = 'a'"):
        run(shaped, f'update "Amenities" set {change} where id = 1')
    assert shaped_rows(shaped)["{u,1}"][2] is None
    fill(shaped, new_embedder)
    check(shaped)


def test_a_row_that_comes_into_the_filter_keeps_the_old_vector(shaped, new_embedder):
    """Which the old revision serves: the way back watches texts, not the filter."""
    keep_old_column_current(shaped)
    run(shaped, "update \"Amenities\" set collection = 'a' where id = 7")
    kept = 'select embedding is not null, "new vector" is null from "Amenities" where id = 7'
    with shaped.engine.connect() as connection:
        assert connection.execute(sa.text(kept)).one() == (True, True)


def test_a_filter_may_be_a_column(engine, new_embedder):
    make_shaped(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" add "Active" boolean')
        connection.exec_driver_sql('update "Amenities" set "Active" = collection = \'a\'')
    shaped = Migration.open(shaped_plan(**{"table.where": '"Active"'}), engine)
    expand(shaped)
    fill(shaped, new_embedder)
    run(
        shaped,
        'insert into "Amenities" (tenant, id, collection, title, payload, "Active") values '
        "('t', 8, 'a', 'New', '{\"data\": \"x\"}', true), ('t', 9, 'b', 'Other', '{}', null)",
        'alter table "Amenities" rename "Active" to active',
        'insert into "Amenities" (tenant, id, collection, title, payload, active) values '
        "('t', 10, 'a', 'Newer', '{\"data\": \"x\"}', true)",
    )
    with engine.connect() as connection:
        queued = connection.scalars(sa.text("select key from ragkit.queue order by key")).all()
    assert queued == ["{t,10}", "{t,8}"]


FAILING = {
    "table.content": "(title || (payload ->> 'n')::int::text)",
    "table.where": "(payload ->> 'page')::int >= 0",
}


def test_no_write_of_the_app_fails_by_an_expression_that_does(engine, new_embedder, admin):
    """A text that cannot be made has no vector. The app's role may call no function by default."""
    make_shaped(engine)
    with engine.begin() as connection:
        run_ = connection.exec_driver_sql
        run_("alter default privileges revoke execute on functions from public")
        run_('update "Amenities" set payload = \'{"n": 1, "page": 2}\'')
        run_('grant select, insert, update on "Amenities" to pg_monitor')
    shaped = Migration.open(shaped_plan(**FAILING), engine)
    expand(shaped)
    fill(shaped, new_embedder)
    superuser = sa.create_engine(admin.url.set(database=engine.url.database))
    with superuser.begin() as app:
        app.exec_driver_sql("set local role pg_monitor")
        for number, payload in enumerate(('{"n": "one", "page": 2}', '{"n": 1, "page": "two"}')):
            app.exec_driver_sql(f"update \"Amenities\" set payload = '{payload}' where id = 1")
            app.exec_driver_sql(
                f"insert into \"Amenities\" values ('t', {50 + number}, 'a', 'x', '{payload}')"
            )
    superuser.dispose()
    assert shaped_rows(shaped)["{u,1}"][2] is None


@pytest.mark.parametrize("kind", ["date", "timestamptz", "float8"])
@pytest.mark.parametrize("key", ["at", ("at", "id")])
def test_a_key_is_found_whatever_a_session_s_settings_make_of_it(engine, new_embedder, kind, key):
    value = "g / 3.0" if kind == "float8" else "date '2026-02-05' + g"
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f'create table "Amenities" (at {kind} not null unique, id int not null, name text, '
            "content text, embedding vector(256), unique (at, id))"
        )
    migration = Migration.open(changed(make_plan(), {"table.key": key}), engine)
    expand(migration)
    insert = f"insert into \"Amenities\" select {value}, g, 'n', 'Text ' || g from "
    fill(migration, new_embedder)
    run(
        migration, "set local datestyle = 'SQL, DMY'", "set local extra_float_digits = -5",
        "set local timezone = 'Asia/Kolkata'", insert + "generate_series(1, 20) g",
    )  # fmt: skip
    fill(migration, new_embedder)
    assert audit(migration).filled == 20


def test_an_expression_over_the_vectors_is_refused(engine):
    make_shaped(engine)
    with pytest.raises(SchemaError, match=r"table\.where reads 'embedding', whose vectors are mig"):
        Migration.open(shaped_plan(**{"table.where": "embedding is not null"}), engine)


def test_a_filter_is_not_asked_for_long_while_nobody_can_read(engine):
    """The last part of a column is retired; its other rows are looked for before the lock too."""
    make_shaped(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "update \"Amenities\" set embedding = null where collection = 'b'"
        )
        connection.exec_driver_sql(
            "create function is_a(text) returns boolean immutable language plpgsql as "
            "$$ begin perform pg_sleep(0.2); return $1 = 'a'; end $$"
        )
        connection.exec_driver_sql(
            'insert into "Amenities" (tenant, id, collection, embedding) '
            "select 'z', g, 'a', array_fill(1, array[256]) from generate_series(1, 20) g"
        )
    plan = shaped_plan(**{"table.where": "is_a(collection)", "database.lock_timeout_ms": 300})
    migration = Migration.open(plan, engine)
    expand(migration)
    for phase in (phases.BACKFILLED, phases.CUT_OVER):
        migration.record(phase)
    with engine.begin() as connection:
        start = time.monotonic()
        assert drop_old_column(connection, migration)
        assert time.monotonic() - start < 2
    assert "embedding" not in columns(engine)


@pytest.mark.parametrize("partitioned", [False, True], ids=["plain", "partitioned"])
def test_percent_signs_are_taken_as_they_are(engine, new_embedder, partitioned):
    """pg8000 has a meaning of its own for them in a query with bound values."""
    make_shaped(engine, partitioned)
    percent = {
        "table.where": "id % 2 = 0 and coalesce(\"100%%\", '') not like '%s\\'",
        "table.content": "(title || ' 100% ' || (id % 3)::text)",
    }
    plan = shaped_plan(**percent)
    migration = Migration.open(plan, engine)
    assert run_trial(migration).placements.column.seconds > 0
    assert len(sample_old(migration).keys) == 3
    expand(migration)
    fill(migration, new_embedder)
    index.build(migration)
    run(migration, "update \"Amenities\" set title = 'New', tenant = 'u' where id in (2, 3)")
    fill(migration, new_embedder)
    assert audit(migration).filled == 3
    vector = new_embedder.embed_query("New 100% 2")
    with engine.connect() as connection:
        assert nearest_values(connection, migration.new, vector, ["r.id"], 9)[0] == [2]

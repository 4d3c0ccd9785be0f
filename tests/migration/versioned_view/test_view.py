"""What a new revision can do through the view, on a real server."""

import io
import threading

import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.errors import SchemaError
from ragkit.migration import ledger
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.migration.schema.statements import index_name
from ragkit.migration.versioned_view import faults, statements
from ragkit.migration.versioned_view.retirement import retire_faults
from ragkit.migration.versioned_view.view import MADE, make_view
from tests.conftest import TEXTS, changed, column_of, with_plan
from tests.migration.partitions.tables import expanded, run
from tests.migration.versioned_view.conftest import VIEW, WAY, prepare, rows

KEY = '"Amenities_pkey"'
PATH = "set local search_path = ragkit_v2, public"


def names(engine, schema):
    return [c["name"] for c in sa.inspect(engine).get_columns("Amenities", schema)]


def events(migration, kind=MADE):
    with migration.engine.connect() as connection:
        return [e for e in ledger.events(connection, migration.id) if e.kind == kind]


def test_it_has_the_columns_in_their_order_and_the_usual_name_is_the_new_column(viewed, engine):
    shown = names(engine, "ragkit_v2")
    assert shown == [name for name in names(engine, "public") if name != "new vector"]
    same = (
        f'select bool_and(v.embedding = t."new vector") from {VIEW} v join "Amenities" t using (id)'
    )
    assert rows(engine, same) == [(True,)]


def test_a_search_by_it_uses_the_index_of_the_new_column(viewed, engine):
    vector = str([0.1] * 64)
    with engine.begin() as connection:
        connection.exec_driver_sql(PATH)
        connection.exec_driver_sql("set local enable_seqscan = off")
        explain = sa.text(
            'explain select id from "Amenities" order by embedding <=> cast(:v as vector) limit 3'
        )
        plan = "\n".join(connection.scalars(explain, {"v": vector}))
    assert f'Index Scan using "{index_name(viewed)}"' in plan


def test_what_is_written_by_it_is_right_for_both_revisions(
    viewed, engine, new_embedder, old_embedder
):
    """Insert with default, identity and generated column, upsert, update and delete."""
    vector = str(list(map(float, new_embedder.embed_query("By the view."))))
    insert = f"insert into {VIEW} (name, content, embedding) values ('n', 'By the view.', :v)"
    [(key, tag, size)] = rows(engine, f"{insert} returning id, tag, size", v=vector)
    assert (key >= 100, tag, size) == (True, "none", 12)
    upsert = (
        f"insert into {VIEW} (id, content, embedding) values (:id, :text, :v) on conflict (id) "
        "do update set content = excluded.content, embedding = excluded.embedding returning size"
    )
    assert rows(engine, upsert, id=1, text="Upserted.", v=vector) == [(9,)]
    assert rows(engine, upsert, id=50, text="Inserted.", v=vector) == [(9,)]
    rows(engine, f"update {VIEW} set content = 'Edited.', embedding = :v where id = 2", v=vector)
    rows(engine, f"delete from {VIEW} where id = 3")
    old = column_of(engine, viewed, "embedding")
    assert set(old) == {1, 2, 4, 5, 6, 50, key}
    assert {k for k, value in old.items() if value is None} == {1, 2, 50, key}
    list(run_backfill(viewed.reversed(), old_embedder))
    list(run_backfill(viewed, new_embedder))
    old, new = column_of(engine, viewed, "embedding"), column_of(engine, viewed, "new vector")
    texts = dict(rows(engine, 'select id, content from "Amenities"'))
    for key, text in texts.items():
        assert old[key] == pytest.approx(old_embedder.embed_query(text), abs=1e-5)
        assert new[key] is not None
    assert texts[1] == "Upserted."


def test_the_rights_on_the_table_are_those_on_the_view(ready, engine, admin):
    with autocommit(admin) as connection:
        for role in ("app", "clerk", "stranger"):
            connection.exec_driver_sql(f'drop role if exists "{role}"')
            connection.exec_driver_sql(f'create role "{role}"')
    run(
        engine,
        'grant select, insert on "Amenities" to app with grant option',
        'grant select (id, embedding), update (embedding) on "Amenities" to clerk',
    )
    prepare(ready)
    allowed = {
        ("app", f"select * from {VIEW}"): True, ("app", f"delete from {VIEW}"): False,
        ("clerk", f"select id, embedding from {VIEW}"): True,
        ("clerk", f"update {VIEW} set embedding = embedding where id = 1"): True,
        ("clerk", f"select content from {VIEW}"): False,
        ("stranger", f"select id from {VIEW}"): False,
    }  # fmt: skip
    for (role, sql), is_allowed in allowed.items():
        with admin_of(admin, engine) as connection:
            connection.exec_driver_sql(f'set role "{role}"')
            if is_allowed:
                connection.exec_driver_sql(sql)
                continue
            with pytest.raises(sa.exc.DBAPIError, match="permission denied"):
                connection.exec_driver_sql(sql)


def admin_of(admin, engine):
    """A superuser in the database of the test, whose transaction is rolled back."""
    own = sa.create_engine(admin.url.set(database=engine.url.database), poolclass=sa.NullPool)
    return own.connect()


def test_row_level_security_is_that_of_the_table(ready, engine, admin):
    with autocommit(admin) as connection:
        connection.exec_driver_sql("drop role if exists tenant")
        connection.exec_driver_sql("create role tenant")
    run(
        engine, 'grant select on "Amenities" to tenant',
        'alter table "Amenities" enable row level security',
        'create policy few on "Amenities" to tenant using (id <= 2)',
    )  # fmt: skip
    prepare(ready)
    with admin_of(admin, engine) as connection:
        connection.exec_driver_sql("set role tenant")
        assert connection.exec_driver_sql(f"select count(*) from {VIEW}").scalar() == 2


def test_rights_on_columns_and_row_level_security_do_not_go_together(ready, engine):
    run(
        engine, 'grant select (id) on "Amenities" to public',
        'alter table "Amenities" enable row level security',
    )  # fmt: skip
    with pytest.raises(SchemaError, match="row-level security, and rights on single columns"):
        make_view(ready)


def test_before_postgresql_15_the_rights_on_the_view_decide(ready, engine, monkeypatch):
    """As if this server were an older one."""
    for module in (statements, faults):
        monkeypatch.setattr(module, "INVOKER_VERSION", 990_000)
    prepare(ready)
    assert rows(engine, f"select reloptions from pg_class where oid = '{VIEW}'::regclass") == [
        (None,)
    ]
    run(engine, 'alter table "Amenities" enable row level security')
    with pytest.raises(SchemaError, match="passes over: upgrade the server to 15"):
        make_view(ready)


def test_two_operators_at_once_make_it_once(ready, engine):
    threads = [threading.Thread(target=make_view, args=(ready,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(events(ready)) == 1


def copy(engine, sql, data):
    raw = engine.raw_connection()
    try:
        raw.cursor().execute(sql, stream=io.BytesIO(data))
        raw.commit()
    finally:
        raw.invalidate()


def test_a_copy_needs_app_view_copy_which_an_on_conflict_does_not_bear(viewed, engine):
    """One of the two: PostgreSQL copies into a view by an INSTEAD OF trigger only, and finds no
    unique index of a view that has one."""
    line = f"By copy.\t{[0.5] * 64}\n".encode()
    statement = f"copy {VIEW} (content, embedding) from stdin"
    with pytest.raises(Exception, match="cannot copy to view"):
        copy(engine, statement, line)
    copying = with_plan(viewed, {"app.view_copy": True})
    make_view(copying)
    copy(engine, statement, line)
    [(key, tag, size, old, new)] = rows(
        engine,
        'select id, tag, size, embedding, vector_dims("new vector") from "Amenities" '
        "where content = 'By copy.'",
    )
    assert (key >= 100, tag, size, old, new) == (True, "none", 8, None, 64)
    upsert = (
        f"insert into {VIEW} (id, content) values (1, 'x') on conflict (id) do update set tag = 'y'"
    )
    with pytest.raises(sa.exc.DBAPIError, match="no unique or exclusion constraint"):
        rows(engine, upsert)
    make_view(viewed)  # without it again
    rows(engine, upsert)
    assert rows(engine, "select count(*) from pg_proc where proname like 'copy\\_%'") == [(0,)]


@pytest.mark.parametrize(
    "statement",
    [
        f"merge into {VIEW} v using (values (1)) s(k) on v.id = s.k when matched then update "
        "set name = 'm'",
        f"select id from {VIEW} for update",
        f"insert into {VIEW} (content) values ('x') on conflict do nothing",
        f"insert into {VIEW} (id, content) overriding system value values (70, 'x') returning size",
    ],
)
def test_what_goes_through_it(viewed, engine, statement):
    rows(engine, statement)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (f"insert into {VIEW} (id) values (1) on conflict on constraint {KEY} do nothing",
         'constraint "Amenities_pkey" for table "Amenities" does not exist'),
        (f"truncate {VIEW}", "is not a table"),
        (f"select ctid from {VIEW}", 'column "ctid" does not exist'),
        (f"insert into {VIEW} (content) values ('x') returning xmax", '"xmax" does not exist'),
    ],
)  # fmt: skip
def test_what_does_not_and_is_said_so_in_the_docs(viewed, engine, statement, fault):
    with pytest.raises(sa.exc.DBAPIError, match=fault):
        rows(engine, statement)


def test_a_framework_that_creates_its_tables_looks_into_the_views_schema_alone(viewed, engine):
    """Its own table is found there; another one would be made again, empty."""
    run(engine, "create table collections (id int)", "insert into collections values (1)")
    with engine.begin() as connection:
        connection.exec_driver_sql(PATH)
        connection.exec_driver_sql('create table if not exists "Amenities" (id int)')
        connection.exec_driver_sql("create table if not exists collections (id int)")
        assert connection.exec_driver_sql("select count(*) from collections").scalar() == 0
    with pytest.raises(SchemaError, match=r"ragkit_v2\.collections would hide public\.collections"):
        make_view(viewed)


def test_a_partitioned_table_has_one_too(engine, plan, new_embedder):
    migration = expanded(engine, changed(plan, WAY), TEXTS)
    list(run_backfill(migration, new_embedder))
    index.build(migration)
    prepare(migration)
    upsert = (
        f"insert into {VIEW} (id, content) values (:id, 'Here.') on conflict (id) do update "
        "set content = excluded.content"
    )
    for key in (1, 150):
        rows(engine, upsert, id=key)
    assert dict(rows(engine, f"select id, content from {VIEW} where id in (1, 150)")) == {
        1: "Here.", 150: "Here.",
    }  # fmt: skip


def test_with_a_filter_it_has_the_rows_that_are_migrated_and_takes_no_others(
    engine, plan, amenities, new_embedder
):
    migration = Migration.open(changed(plan, {**WAY, "table.where": "id <= 3"}), engine)
    expand(migration)
    list(run_backfill(migration, new_embedder))
    prepare(migration)
    assert rows(engine, f"select count(*), count(embedding) from {VIEW}") == [(3, 3)]
    upsert = (
        f"insert into {VIEW} (id, content) values (:id, 'x') on conflict (id) do update "
        "set content = excluded.content"
    )
    rows(engine, upsert, id=2)
    with pytest.raises(sa.exc.DBAPIError, match="violates check option"):
        rows(engine, upsert, id=70)
    with engine.connect() as connection:
        assert list(retire_faults(connection, migration)) == [
            "rows outside of table.where have vectors in embedding, whose name the new column "
            "would take: keep the view, and retire when their vectors are gone"
        ]


def test_no_copy_into_it_passes_the_filter(engine, plan, amenities):
    changes = {**WAY, "table.where": "id <= 3 or id >= 60", "app.view_copy": True}
    migration = Migration.open(changed(plan, changes), engine)
    expand(migration)
    prepare(migration)
    insert = f"insert into {VIEW} (id, content) values (:id, 'x')"
    rows(engine, insert, id=60)
    with pytest.raises(sa.exc.DBAPIError, match="takes no row outside of its filter"):
        rows(engine, insert, id=50)


def test_again_it_changes_nothing_and_with_a_new_column_it_is_made_again(viewed, engine):
    oid = rows(engine, f"select '{VIEW}'::regclass::oid")
    make_view(viewed)
    assert rows(engine, f"select '{VIEW}'::regclass::oid") == oid
    assert len(events(viewed)) == 1
    run(engine, 'alter table "Amenities" add extra text')
    make_view(viewed)
    assert "extra" in names(engine, "ragkit_v2")
    assert len(events(viewed)) == 2


def test_killed_in_the_middle_it_leaves_nothing_and_runs_again(ready, engine):
    """Each statement may be the last one before the process dies."""
    number, done = 0, False
    while not done:
        left = number = number + 1

        def die(*_):
            nonlocal left
            left -= 1
            if not left:
                raise KeyboardInterrupt

        sa.event.listen(engine, "after_cursor_execute", die)
        try:
            make_view(ready)
            done = True
        except KeyboardInterrupt:
            pass
        finally:
            sa.event.remove(engine, "after_cursor_execute", die)
        if not done:
            assert "ragkit_v2" not in sa.inspect(engine).get_schema_names()
    assert number > 8
    assert names(engine, "ragkit_v2")


@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        (["create schema ragkit_v2", f"create view {VIEW} as select 1"],
         'ragkit_v2."Amenities" is there, and not made by ragkit: DROP VIEW ragkit_v2."Amenities"'),
        (["create schema ragkit_v2", f"create table {VIEW} ()"], "is there, and not made by"),
        (["create schema ragkit_v2", "create table ragkit_v2.other ()", "create table other ()"],
         "ragkit_v2.other would hide public.other"),
    ],
)  # fmt: skip
def test_what_somebody_made_by_hand_is_left_and_told(ready, engine, statements, fault):
    run(engine, *statements)
    with pytest.raises(SchemaError, match=r"nothing was changed") as error:
        make_view(ready)
    assert fault in str(error.value)
    assert events(ready) == []


def test_a_missing_right_is_told_as_sql(ready, engine, admin):
    database = engine.url.database
    with autocommit(admin) as connection:
        connection.exec_driver_sql(f'alter database "{database}" owner to postgres')
    try:
        with pytest.raises(SchemaError, match=f'GRANT CREATE ON DATABASE "{database}" TO'):
            make_view(ready)
    finally:
        with autocommit(admin) as connection:
            connection.exec_driver_sql(f'alter database "{database}" owner to "retrieval-service"')


def test_the_view_of_another_migration_is_not_taken(viewed, engine, plan):
    other = with_plan(viewed, {"new.column": "third"})
    with pytest.raises(
        SchemaError, match=r"and made for public\.Amenities: embedding -> new vector"
    ):
        make_view(other)
    assert isinstance(Migration.open(viewed.plan, engine), Migration)

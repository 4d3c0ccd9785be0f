"""Functions that search the table are there again for the new revision, and read the view."""

import pytest
import sqlalchemy as sa

from ragkit.errors import SchemaError
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from ragkit.migration.versioned_view.retirement import drop
from ragkit.migration.versioned_view.view import make_view
from tests.conftest import TEXTS, changed, make_plan, make_table
from tests.migration.partitions.tables import run
from tests.migration.versioned_view.conftest import WAY, prepare, rows

SEARCH = """
create function nearest (asked vector(256), most int default 2)
returns table (key int, near float) language plpgsql as $$
begin
  return query select a.id, (1 - (a.embedding <=> asked))::float
  from {table} a order by a.embedding <=> asked limit most;
end $$
"""
AS_ROWS = """
create function nearest (asked vector, most int default 2) returns setof "Amenities"
language sql stable as
$$ select * from "Amenities" order by embedding <=> asked limit most $$
"""


def asked(engine, sql, vector):
    return [row[0] for row in rows(engine, sql, v=str(vector.tolist()))]


@pytest.mark.parametrize(
    "function", [SEARCH.format(table='"Amenities"'), SEARCH.format(table='public."Amenities"')]
)
def test_each_revision_s_function_searches_its_own_vectors(
    ready, engine, old_embedder, new_embedder, function
):
    run(engine, function)
    prepare(ready)
    prepare(ready)  # safe to repeat
    text = "Wool jumpers and scarves."
    old = asked(
        engine, "select key from nearest(cast(:v as vector))", old_embedder.embed_query(text)
    )
    new = asked(engine, "select key from ragkit_v2.nearest(cast(:v as vector))",
                new_embedder.embed_query(text))  # fmt: skip
    assert old[0] == new[0] == 2
    assert len(old) == len(new) == 2


def test_rows_of_the_table_become_rows_of_the_view(ready, engine, new_embedder):
    run(engine, AS_ROWS)
    prepare(ready)
    query = "select embedding = cast(:v as vector) from ragkit_v2.nearest(cast(:v as vector), 1)"
    assert asked(engine, query, new_embedder.embed_query("Champagne")) == [False]
    run(engine, 'alter table "Amenities" add more text')
    make_view(ready)  # which is made again, and its functions with it
    assert (
        len(rows(engine, "select * from ragkit_v2.nearest(array_fill(1, array[64])::vector)")) == 2
    )


def test_who_may_call_the_one_may_call_the_other(ready, engine, admin):
    run(engine, SEARCH.format(table='"Amenities"'), "revoke all on function nearest from public",
        "grant execute on function nearest to pg_monitor")  # fmt: skip
    prepare(ready)
    query = "select proacl::text from pg_proc where proname = 'nearest' order by pronamespace"
    rights = [row[0] for row in rows(engine, query)]
    assert rights[0] == rights[1] != ""


def test_a_body_that_is_bound_to_the_table_is_refused_with_what_to_do(ready, engine):
    body = 'begin atomic select id from "Amenities" order by embedding <=> asked limit 1; end'
    run(engine, f"create function nearest (asked vector) returns int language sql {body}")
    with pytest.raises(SchemaError, match=r"nearest\(asked vector\) is bound to the table"):
        make_view(ready)


@pytest.mark.parametrize("path", ["", "set search_path = public"])
@pytest.mark.parametrize("table", ["Docs", "PUBLIC.Docs", 'public . "docs"'])
def test_the_table_is_known_however_a_function_spells_it(engine, new_embedder, table, path):
    plan = changed(make_plan(), {**WAY, "table.name": "docs"})
    make_table(engine, plan, TEXTS)
    body = f"$$ select id from {table} order by embedding <=> asked limit 1 $$"
    run(engine, f"create function nearest (asked vector) returns int language sql {path} as {body}")
    migration = Migration.open(plan, engine)
    expand(migration)
    list(run_backfill(migration, new_embedder))
    prepare(migration)
    with engine.connect() as connection:
        connection.exec_driver_sql("set local search_path = ragkit_v2, public")
        question = {"v": str(new_embedder.embed_query(TEXTS[1]).tolist())}
        assert connection.scalar(sa.text("select nearest(cast(:v as vector))"), question) == 2


def test_one_that_runs_by_the_rights_of_somebody_else_is_refused(ready, engine, admin):
    """Its copy would run by those of ragkit's role, which may be a superuser's."""
    run(engine, SEARCH.format(table='"Amenities"'), "alter function nearest security definer")
    superuser = sa.create_engine(admin.url.set(database=engine.url.database))
    with superuser.begin() as connection:
        connection.exec_driver_sql("alter function nearest owner to pg_monitor")
    superuser.dispose()
    with pytest.raises(
        SchemaError, match=r"runs by the rights of pg_monitor .*nothing was changed"
    ):
        make_view(ready)


def test_who_may_call_one_of_definer_s_rights_sees_the_schema(ready, engine):
    run(engine, SEARCH.format(table='"Amenities"'), "alter function nearest security definer",
        "revoke all on function nearest from public",
        "grant execute on function nearest to pg_read_all_settings")  # fmt: skip
    prepare(ready)
    query = "select has_schema_privilege('pg_read_all_settings', 'ragkit_v2', 'usage')"
    assert rows(engine, query) == [(True,)]


def test_functions_of_other_tables_stay_where_they_are(ready, engine):
    run(engine, SEARCH.format(table='"Amenities_2"'),
        "create function unrelated (n int) returns int language sql as 'select 1'")  # fmt: skip
    prepare(ready)
    query = "select count(*) from pg_proc where pronamespace = 'ragkit_v2'::regnamespace"
    assert rows(engine, query) == [(0,)]


def test_they_go_with_the_view(ready, engine):
    run(engine, AS_ROWS)
    prepare(ready)
    with engine.begin() as connection:
        drop(connection, ready)
    assert rows(engine, "select to_regnamespace('ragkit_v2') is null") == [(True,)]

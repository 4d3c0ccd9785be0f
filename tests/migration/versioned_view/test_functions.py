"""Functions that search the table are there again for the new revision, and read the view."""

import pytest

from ragkit.errors import SchemaError
from ragkit.migration.versioned_view.retirement import drop
from ragkit.migration.versioned_view.view import make_view
from tests.migration.partitions.tables import run
from tests.migration.versioned_view.conftest import prepare, rows

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

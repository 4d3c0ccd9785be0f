import pytest

from ragkit.migration.discovery.tables import find_tables
from tests.migration.discovery.conftest import TABLES


@pytest.mark.parametrize("framework", TABLES)
def test_a_table_is_described_by_the_catalogue(engine, make, framework):
    make(framework)
    (table,) = find_tables(engine)
    assert (table.kind, table.grants, len(table.keys)) == ("table", [], 1)
    assert table.dimension == (None if "langchain_pg_embedding" in table.name else 64)


def test_the_distance_is_that_of_the_index(engine, make):
    for framework in ("Spring AI", "", "LangChain PGVectorStore"):
        make(framework)
    distances = {table.name: table.distance for table in find_tables(engine)}
    assert distances["vector_store"] == "l2"
    assert distances["Shop Items"] == "inner_product"
    assert distances["my_docs"] is None


def test_views_and_partitioned_tables_are_named_as_such(engine, make, run):
    make("LlamaIndex")
    run(
        "create view v as select * from data_llamaindex",
        "create table parted (id int, embedding vector(8)) partition by range (id)",
        "create table part_1 partition of parted for values from (0) to (9)",
    )
    kinds = {table.name: table.kind for table in find_tables(engine)}
    assert kinds == {"data_llamaindex": "table", "v": "view", "parted": "partitioned table"}
    assert any(str(t) == "public.v.embedding (64 dimensions, view)"
               for t in find_tables(engine))  # fmt: skip


def test_generated_columns_nullable_keys_and_partial_indexes_do_not_count(engine, run):
    run(
        "create table t (a int, b int not null, c text, d text generated always as (c || 'x') "
        "stored, embedding vector(8))",
        "create unique index on t (a)",
        "create unique index on t (b) where b > 0",
    )
    (table,) = find_tables(engine)
    assert (table.keys, table.texts) == ([], ["c"])
    run("alter table t add unique (b)")
    assert find_tables(engine)[0].keys == ["b"]


def test_columns_that_are_a_key_together_count_where_no_single_one_does(engine, run):
    run(
        'create table t ("A" text, b int, c int not null, d int not null, e text, v vector(8))',
        "create unique index on t (c, e)",  # e may be NULL
        "create unique index on t (c, (d + 1))",
        "create unique index on t (d, c) include (b)",
    )
    assert (find_tables(engine)[0].keys, find_tables(engine)[0].composite) == ([], ("d", "c"))
    run('alter table t add primary key ("A", b, c)')
    assert find_tables(engine)[0].composite == ("A", "b", "c")
    run("alter table t add unique (c)")
    assert (find_tables(engine)[0].keys, find_tables(engine)[0].composite) == (["c"], ())


def test_a_table_that_the_role_may_not_read_is_there_and_unreadable(engine, admin, database):
    import sqlalchemy as sa

    other = sa.create_engine(admin.url.set(database=database.database))
    with other.begin() as connection:
        connection.exec_driver_sql("create table hidden (id int primary key, v vector(8))")
    other.dispose()
    (table,) = find_tables(engine)
    assert table.grants == ['GRANT SELECT ON public.hidden TO "retrieval-service";']


def test_ragkits_own_schema_and_an_empty_database_have_none(engine, run):
    assert find_tables(engine) == []
    run("create schema ragkit", "create table ragkit.t (v vector(8))")
    assert find_tables(engine) == []

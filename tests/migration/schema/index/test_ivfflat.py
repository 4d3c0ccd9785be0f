import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.migration.schema.index import ivfflat
from tests.conftest import random_vectors

MB = 2**20


@pytest.mark.parametrize(
    ("rows", "lists"),
    [
        (0, 1), (999, 1), (50_000, 50), (1_000_000, 1000), (4_000_000, 2000),
        (10_000_000_000, ivfflat.MAX_LISTS),
    ],
)  # fmt: skip
def test_the_lists_are_those_that_pgvector_advises_and_takes(rows, lists):
    assert ivfflat.advised_lists(rows) == lists


def test_the_server_takes_so_many_lists_and_no_more(engine, plan):
    vectors = random_vectors(engine, plan, 100)
    sql = 'create index on {} using ivfflat ("new vector" vector_cosine_ops) with (lists = {})'
    table, most = vectors.quoted_table, ivfflat.MAX_LISTS
    with autocommit(engine) as connection:
        connection.exec_driver_sql("set maintenance_work_mem = '1TB'")
        with pytest.raises(sa.exc.DBAPIError, match="out of bounds"):
            connection.exec_driver_sql(sql.format(table, most + 1))


@pytest.mark.parametrize("memory_mb", [4, 16])
def test_no_more_lists_than_the_memory_takes(engine, memory_mb):
    """pgvector itself says where the memory ends."""
    rows, dimension = 30_000, 64
    lists = ivfflat.fitting_lists(10**9, 4 * dimension, memory_mb * MB)
    with autocommit(engine) as connection:
        run = connection.exec_driver_sql
        run("create table many (v vector(64))")
        run(
            "insert into many select array(select random() from generate_series(1, 64) where "
            f"n > 0)::vector from generate_series(1, {rows}) n"
        )
        run(f"set maintenance_work_mem = '{memory_mb}MB'")
        sql = "create index on many using ivfflat (v vector_l2_ops) with (lists = {})"
        run(sql.format(lists))
        with pytest.raises(sa.exc.DBAPIError, match="memory required"):
            run(sql.format(round(1.1 * lists)))

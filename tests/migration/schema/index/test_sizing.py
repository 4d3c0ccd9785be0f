import re

import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.migration.schema.index import ivfflat
from ragkit.migration.schema.index.sizing import (
    BIT_HEADER_BYTES,
    HNSW_ROW_BYTES,
    MB,
    PROCESS_MB,
    choose_sizing,
)
from tests.conftest import random_vectors, with_plan

LARGE = 200_000


def sizing(migration, rows, may_set=True):
    with migration.engine.connect() as connection:
        return choose_sizing(connection, migration, rows, may_set=may_set)


def setting(engine, name):
    with engine.connect() as connection:
        return connection.scalar(sa.text(f"select pg_size_bytes(current_setting('{name}'))"))


def test_the_memory_is_what_the_index_needs_up_to_what_the_server_has(migration, engine):
    ceiling = max(setting(engine, "shared_buffers"), setting(engine, "maintenance_work_mem")) // MB
    small, large = sizing(migration, 30_000), sizing(migration, 30_000_000)
    assert small.memory_mb == max(small.needed_mb, 3 * PROCESS_MB) < ceiling
    assert (small.workers, large.workers) == (2, 2)
    assert (large.memory_mb, large.fits) == (ceiling, False)
    assert f"the server's settings allow {ceiling} MB" in large.why


def test_a_small_index_gets_no_worker_for_which_its_memory_is_too_little(migration):
    chosen = sizing(migration, 1000)
    assert (chosen.memory_mb, chosen.workers) == (chosen.needed_mb, 0)


def test_the_plan_s_own_figures_hold(migration):
    own = with_plan(migration, {"index.memory_mb": 77, "index.workers": 5})
    chosen = sizing(own, 30_000_000)
    assert (chosen.memory_mb, chosen.workers) == (77, 5)
    assert chosen.why == "memory by index.memory_mb; workers by index.workers"


@pytest.mark.parametrize(
    ("name", "workers"),
    [("max_parallel_maintenance_workers", 1), ("max_parallel_workers", 0)],
)
def test_no_more_workers_than_the_server_allows(migration, engine, name, workers):
    role, database = engine.url.username, engine.url.database
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f'alter role "{role}" in database "{database}" set {name} = {workers}'
        )
    engine.dispose()
    assert sizing(migration, LARGE).workers == workers


def test_a_server_that_is_nearly_full_gives_no_worker(migration, engine, admin):
    with admin.connect() as connection:
        free = connection.scalar(
            sa.text(
                "select current_setting('max_connections')::int - (select sum(numbackends) from "
                "pg_stat_database)::int - current_setting('superuser_reserved_connections')::int"
            )
        )
    assert sizing(migration, LARGE).workers > 0
    others = [sa.create_engine(engine.url) for _ in range(free - 1)]
    held = [other.connect() for other in others]
    try:
        assert sizing(migration, LARGE).workers == 0
    finally:
        for other, connection in zip(others, held, strict=True):
            connection.close()
            other.dispose()


def test_the_graph_takes_the_memory_that_is_told(engine, plan):
    """pgvector says after how many rows the graph no longer fits."""
    migration = random_vectors(engine, plan, 6000)
    with autocommit(engine) as connection:
        connection.exec_driver_sql("set maintenance_work_mem = '2MB'")
        connection.exec_driver_sql("set max_parallel_maintenance_workers = 0")
        connection.exec_driver_sql(
            f'create index on {migration.quoted_table} using hnsw ("new vector" vector_l2_ops)'
        )
        notices = str(connection.connection.dbapi_connection.notices)
    rows = int(re.search(r"after (\d+) tuples", notices)[1])
    assert rows * (4 * 64 + HNSW_ROW_BYTES) == pytest.approx(2 * MB, rel=0.03)


def test_ivfflat_gets_the_lists_of_its_rows_and_its_memory(migration):
    plan = with_plan(migration, {"index.type": "ivfflat"})
    assert sizing(plan, 50_000).lists == 50
    little = sizing(with_plan(plan, {"index.memory_mb": 32}), 100_000_000)
    assert 1 < little.lists < ivfflat.advised_lists(100_000_000)
    expand(plan)
    assert ", 1 lists (" in index.build(plan).settings


def test_behind_a_pooler_the_server_s_own_settings_hold(migration, engine):
    chosen = sizing(with_plan(migration, {"index.memory_mb": 77}), 1000, may_set=False)
    assert chosen.memory_mb == setting(engine, "maintenance_work_mem") // MB


def test_a_graph_of_bits_takes_the_memory_that_is_told(engine, plan):
    """Vectors of 64 dimensions, each repeated to 1,024."""
    migration = random_vectors(engine, plan, 6000)
    wide = "||".join(['"new vector"'] * 16)
    with autocommit(engine) as connection:
        connection.exec_driver_sql("set maintenance_work_mem = '2MB'")
        connection.exec_driver_sql("set max_parallel_maintenance_workers = 0")
        connection.exec_driver_sql(
            f"create index on {migration.quoted_table} using hnsw "
            f"((binary_quantize({wide})::bit(1024)) bit_hamming_ops)"
        )
        notices = str(connection.connection.dbapi_connection.notices)
    rows = int(re.search(r"after (\d+) tuples", notices)[1])
    needed = 1024 // 8 + BIT_HEADER_BYTES + HNSW_ROW_BYTES
    assert rows * needed == pytest.approx(2 * MB, rel=0.03)
    bits = with_plan(migration, {"index.type": "binary"})
    assert sizing(bits, LARGE).needed_mb < sizing(migration, LARGE).needed_mb

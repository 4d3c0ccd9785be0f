import time
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from ragkit.migration.migration import Migration
from ragkit.migration.schema.index import current
from tests.conftest import random_vectors
from tests.processes import Script
from tests.stand_ins import pgbouncer

BUILD = """
import json, sys, sqlalchemy as sa
from ragkit.migration.schema import index
from tests.plans import make_plan
from ragkit.migration.migration import Migration
changes = json.loads(sys.argv[2])
built = index.build(Migration.open(make_plan(changes), sa.create_engine(sys.argv[1])))
print(built.valid, built.settings or "somebody else's")
"""


@pytest.fixture
def vectors(engine, plan, restored) -> Migration:
    """A table whose index takes a moment to build."""
    restored("3,000 vectors", lambda: random_vectors(engine, plan, 3000))
    return Migration.open(plan, engine)


@pytest.fixture
def builder(database):
    """Starts processes that build the index; `url` is their way to the database."""
    processes = []

    def start(url: sa.URL = database, changes: str = "{}") -> Script:
        process = Script(BUILD, url.render_as_string(hide_password=False), changes)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def write_in_progress(server, vectors):
    """A transaction of the app, for which a build waits; the block ends it."""

    @contextmanager
    def hold():
        other = server.engine(database=vectors.engine.url.database)
        with other.connect() as connection:
            connection.exec_driver_sql(f"update {vectors.quoted_table} set name = name where id=1")
            yield
            connection.rollback()
        other.dispose()

    return hold


@pytest.fixture(params=["transaction"])
def bouncer(request, database):
    if not pgbouncer.PROGRAM:
        pytest.skip("pgbouncer is not installed")
    with pgbouncer.serving(database, 8, request.param) as url:
        yield url


@pytest.fixture
def pooled(bouncer, vectors) -> Migration:
    """The migration through a pooler."""
    engine = sa.create_engine(bouncer, pool_pre_ping=True)
    yield Migration(vectors.plan, engine, vectors.known_old, vectors.known_new, vectors.terms)
    engine.dispose()


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def wait_for_builders(migration, count=1):
    """The sessions that build the index or hold its claim."""

    def look():
        with migration.engine.connect() as connection:
            builders = current.read_builders(connection, migration)
        return builders if len(builders) >= count else None

    return wait_until(look)


def indexes(migration):
    """(oid, valid) of the index, and of what else has been left of it."""
    query = sa.text(
        "select i.indexrelid::bigint, i.indisvalid from pg_index i join pg_class c "
        "on c.oid = i.indexrelid where i.indrelid = to_regclass(:t) and relname like :n"
    )
    name = current.statements.index_name(migration) + "%"
    with migration.engine.connect() as connection:
        rows = connection.execute(query, {"t": migration.quoted_table, "n": name})
        return [tuple(row) for row in rows]

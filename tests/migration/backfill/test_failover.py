"""The server is lost, and the address leads to the standby that takes over."""

import time

import pytest
import sqlalchemy as sa

from ragkit.database.engine import engine_from_env
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from ragkit.sandbox.folders import Folders
from ragkit.sandbox.postgres import PORT, Postgres
from tests.conftest import ROLE, make_table
from tests.migration.backfill.vectors import check_vectors
from tests.stand_ins import silent

PLACES = [f"Place {n} is a shop. Wool." for n in range(60)]


@pytest.fixture
def primary(tmp_path):
    server = Postgres(Folders.at(tmp_path / "primary"))
    server.start()
    server.create("shop", owner=ROLE)
    yield server
    server.remove()


@pytest.fixture
def standby(primary, tmp_path):
    server = Postgres(Folders.at(tmp_path / "standby"))
    server._run(
        "pg_basebackup", "-h", primary._socket, "-p", PORT, "-U", "postgres", "-R", "-X", "stream",
        "-c", "fast", "--no-sync", "-D", server._data,
    )  # fmt: skip
    own_socket = f"\nunix_socket_directories = '{server._socket}'\n"
    with (server._data / "postgresql.conf").open("a") as file:
        file.write(own_socket)
    server.start()
    yield server
    server.remove()


def socket_of(server):
    return server.url().query["unix_sock"]


def wait_for_the_new_column(server, migration):
    engine = server.engine(database="shop")
    query = sa.text("select 1 from pg_attribute where attname = :name")
    deadline = time.monotonic() + 20
    with engine.connect() as connection:
        while not connection.scalar(query, {"name": migration.plan.new.column}):
            assert time.monotonic() < deadline
            connection.rollback()
            time.sleep(0.05)
    engine.dispose()


@pytest.mark.timeout(120)
def test_a_backfill_goes_on_at_the_server_that_takes_over(primary, standby, plan, new_embedder):
    """Its connections fall silent first. What the standby had not received is pending there."""
    with silent.serving(socket_of(primary)) as proxy:
        host, port = proxy.address
        url = f"postgresql://{ROLE}@{host}:{port}/shop"
        engine = engine_from_env({"DATABASE_URL": url}, read_seconds=2)
        make_table(engine, plan, PLACES)
        migration = Migration.open(plan, engine)
        expand(migration)
        wait_for_the_new_column(standby, migration)
        steps = []
        for step in run_backfill(migration, new_embedder):
            steps.append(step)
            if len(steps) == 3:
                proxy.talking.clear()
                primary.kill()
                with standby.engine().connect() as admin:
                    assert admin.scalar(sa.text("select pg_promote()"))
                proxy.lead_to(socket_of(standby))
                proxy.drop()
                proxy.talking.set()
        assert steps[-1].done == len(PLACES)
        check_vectors(migration, new_embedder)
        engine.dispose()

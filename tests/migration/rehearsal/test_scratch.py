"""The scratch schema is ragkit's own, and goes with everything of it."""

import threading

import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.errors import DatabaseError, SchemaError
from ragkit.migration.backfill.model_calls.costs import ModelCost, read_costs, record_cost
from ragkit.migration.plan.data import DatabaseSection
from ragkit.migration.rehearsal import scratch
from ragkit.migration.rehearsal.copying import place
from tests.conftest import ROLE

SOON = DatabaseSection(lock_timeout_ms=50, ddl_seconds=0.5)


@pytest.fixture
def made(engine, migration):
    scratch.make_own_tables(engine)
    scratch.make_scratch(engine, migration.id)
    return engine


def remove(engine, waits=SOON):
    return scratch.remove(engine, engine, waits)


def test_it_is_removed_once_and_says_what_was_rehearsed(made, migration):
    assert remove(made) == migration.id
    assert remove(made) is None


def test_what_was_spent_is_added_to_what_was_spent_before(made, migration):
    copied = place(migration, scratch.SCRATCH)
    for usd in (0.5, 0.25):
        with made.begin() as connection:
            record_cost(connection, copied, "a model", 100, usd)
        assert remove(made) == migration.id
        scratch.make_scratch(made, migration.id)
    assert read_costs(migration) == [ModelCost("a model, rehearsal", 2, 200, 0.75)]
    assert read_costs(copied) == []


def test_somebody_who_reads_the_copy_is_waited_for_and_not_longer_than_told(made, migration):
    with made.begin() as connection:
        connection.exec_driver_sql(f"create table {scratch.SCRATCH}.copy (id int)")
    reading, read = threading.Event(), threading.Event()

    def read_it():
        with made.begin() as other:
            other.exec_driver_sql(f"select * from {scratch.SCRATCH}.copy")
            reading.set()
            read.wait(20)

    reader = threading.Thread(target=read_it)
    reader.start()
    assert reading.wait(10)
    with pytest.raises(DatabaseError, match="ragkit rehearse --clean tries again"):
        remove(made)
    threading.Timer(0.5, read.set).start()
    assert remove(made, DatabaseSection(lock_timeout_ms=50, ddl_seconds=20)) == migration.id
    reader.join()


def test_without_the_right_to_make_a_schema_it_says_what_to_grant(admin, engine, migration):
    scratch.make_own_tables(engine)
    name = f'"{engine.url.database}"'
    with autocommit(admin) as connection:
        connection.exec_driver_sql(f"alter database {name} owner to {admin.url.username}")
        connection.exec_driver_sql(f"revoke create on database {name} from public")
    with pytest.raises(SchemaError, match=f'GRANT CREATE ON DATABASE {name} TO "{ROLE}"'):
        scratch.make_scratch(engine, migration.id)


def test_subscribers_of_every_table_are_not_sent_a_copy(admin, engine, server, migration):
    with autocommit(own := server.engine(database=engine.url.database)) as connection:
        connection.exec_driver_sql("create publication everything for all tables")
    own.dispose()
    scratch.make_own_tables(engine)
    with pytest.raises(SchemaError, match=r"the publication everything has every table.*--clone"):
        scratch.make_scratch(engine, migration.id)
    with engine.connect() as connection:
        assert scratch.rehearsed(connection) is None
        assert not connection.scalar(sa.text("select to_regnamespace('ragkit_rehearsal')"))

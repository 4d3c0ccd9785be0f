import time
from concurrent.futures import ThreadPoolExecutor

from ragkit.migration import ledger, phases
from ragkit.migration.schema import statements
from ragkit.migration.schema.expansion import allow_missing_old, expand
from ragkit.retrieval import contract
from ragkit.retrieval.space import FILLING, READY
from tests.conftest import column_of


def test_expand_adds_the_column_the_contract_and_the_ledger_once(migration):
    assert expand(migration) is True
    assert expand(migration) is False
    assert column_of(migration.engine, migration, "new vector") == dict.fromkeys(range(1, 7))
    with migration.engine.connect() as connection:
        bindings = {
            binding.column: binding
            for binding in contract.read_bindings(connection, migration.plan.table.qualified_name)
        }
        assert ledger.phase(connection, migration.id) == phases.EXPANDED
    assert bindings["embedding"].state == READY
    assert bindings["new vector"].state == FILLING
    assert bindings["new vector"].space == migration.new.space


def test_of_two_that_expand_at_once_one_does_it(migration):
    with ThreadPoolExecutor(2) as pool, migration.engine.connect() as connection:
        connection.exec_driver_sql(statements.lock_schema()[0])
        both = [pool.submit(expand, migration) for _ in range(2)]
        time.sleep(1.0)  # both have seen that it is to be done
        connection.rollback()
        assert sorted(one.result(timeout=30) for one in both) == [False, True]
        kinds = [event.kind for event in ledger.events(connection, migration.id)]
        assert kinds == [phases.EXPANDED]


def test_expand_does_not_change_the_old_column(migration):
    vectors = column_of(migration.engine, migration, "embedding")
    expand(migration)
    assert column_of(migration.engine, migration, "embedding") == vectors


def test_rows_without_an_old_vector_are_allowed_before_the_deployment(migration):
    with migration.engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" alter embedding set not null')
    for key in (100, 101):
        allow_missing_old(migration)
        with migration.engine.begin() as connection:
            connection.exec_driver_sql(
                f"insert into \"Amenities\" (id, content) values ({key}, 'New.')"
            )


def test_a_restored_contract_counts_by_names(filled):
    """In a copy of the database, a column's number can be another one's."""
    with filled.engine.begin() as connection:
        connection.exec_driver_sql("update ragkit.contract set attnum = 1, table_oid = 1")
        bindings = contract.read_bindings(connection, filled.plan.table.qualified_name)
    assert {binding.column for binding in bindings} == {"embedding", "new vector"}

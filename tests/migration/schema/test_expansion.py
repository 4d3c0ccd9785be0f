from ragkit.migration import ledger, phases
from ragkit.migration.schema.expansion import expand
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


def test_expand_does_not_change_the_old_column(migration):
    vectors = column_of(migration.engine, migration, "embedding")
    expand(migration)
    assert column_of(migration.engine, migration, "embedding") == vectors

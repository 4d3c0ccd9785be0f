import pytest
import sqlalchemy as sa

from ragkit.embedding.catalogue import Model
from ragkit.errors import RescueRefused, SpaceNotReady
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.retrieval import contract_changes
from ragkit.retrieval.rescue.plan import write_plan
from ragkit.retrieval.route import find_route
from ragkit.retrieval.space import FILLING, READY
from tests.retrieval.rescue.conftest import make_rescue


@pytest.fixture
def route(migration, new_embedder):
    def route():
        with migration.engine.connect() as connection:
            return find_route(
                connection, migration.plan.table.qualified_name, new_embedder.model, {}
            )

    return route


def set_state(migration, state):
    with migration.engine.begin() as connection:
        contract_changes.set_state(
            connection, migration.plan.table.qualified_name, migration.plan.new.column, state
        )


def rescue(migration, **changes):
    with migration.engine.begin() as connection:
        write_plan(connection, migration.new, make_rescue(migration, **changes))


def test_a_column_that_is_filling_serves_by_its_rescue_only(migration, route):
    expand(migration)
    with pytest.raises(SpaceNotReady, match=f"is {FILLING}: finish the backfill"):
        route()
    rescue(migration)
    assert route().rescue == make_rescue(migration)


def test_a_complete_column_serves_itself(migration, route):
    expand(migration)
    rescue(migration)
    set_state(migration, READY)
    assert route().rescue is None


def test_a_rescue_that_a_gate_forbids_serves_nothing_until_the_column_is_complete(filled, route):
    set_state(filled, FILLING)
    name = f'public."{filled.table.name}_new vector_hnsw"'
    rescue(filled, index=name, refused="too little is found")
    with pytest.raises(RescueRefused, match=r"^too little is found$"):
        route()
    set_state(filled, READY)  # slower than with its index, and right
    assert route().rescue is None


def test_a_complete_column_waits_for_its_index(filled, route):
    name = f'public."{filled.table.name}_new vector_hnsw"'
    rescue(filled, index=name)
    assert route().rescue is not None
    index.build(filled)
    assert route().rescue is None
    with filled.engine.begin() as connection:
        connection.execute(sa.text(f"drop index {name}"))
    assert route().rescue is not None


def test_a_model_without_a_column_is_told(migration, route):
    expand(migration)
    with migration.engine.connect() as connection, pytest.raises(SpaceNotReady, match="no column"):
        find_route(connection, migration.plan.table.qualified_name, Model("other", "p", 3), {})

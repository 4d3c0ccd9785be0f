import pytest

from ragkit import contract
from ragkit.errors import SpaceNotReady
from ragkit.migration import backfill, index, schema
from ragkit.migration.subject import Migration
from ragkit.search import nearest
from ragkit.service import SearchService
from tests.conftest import TEXTS, make_table


@pytest.fixture
def filled(migration, new_embedder):
    schema.expand(migration)
    list(backfill.fill(migration, new_embedder))
    return migration


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def service(filled, new_embedder):
    return SearchService(
        filled.engine, new_embedder, filled.plan.qualified, ["name"], clock=Clock()
    )


def test_the_nearest_row_comes_first(service):
    assert service.search(TEXTS[3], 2)[0]["name"] == "Bubbles"
    assert len(service.search(TEXTS[3], 50)) == 6


def test_health(service, filled):
    found = service.health()
    assert (found.model, found.column) == (filled.plan.new_model, "new vector")
    assert found.coverage == 1.0
    assert found.contract == filled.new.space.fingerprint


def test_a_contract_that_changes_is_followed_within_seconds(service, filled):
    assert service.search("tea", 1)
    with filled.engine.begin() as connection:
        contract.set_state(connection, filled.plan.qualified, "new vector", contract.FILLING)
    service._clock.now = 4.9
    assert service.search("tea", 1)
    service._clock.now = 5.1
    with pytest.raises(SpaceNotReady, match="filling"):
        service.search("tea", 1)


def test_both_models_are_served_side_by_side(service, filled, old_embedder):
    """Two revisions during a cut-over: each asks the column of its own model."""
    old = SearchService(filled.engine, old_embedder, filled.plan.qualified, ["name"])
    assert old.health().column == "embedding"
    assert service.health().column == "new vector"
    assert old.search(TEXTS[1], 1)[0]["name"] == service.search(TEXTS[1], 1)[0]["name"]


def test_through_the_index_fifty_asked_are_fifty_answered(engine, plan, new_embedder):
    """pgvector looks at 40 candidates unless told otherwise."""
    make_table(engine, plan, [f"{text} {n}" for n in range(20) for text in TEXTS])
    migration = Migration.open(plan, engine)
    schema.expand(migration)
    list(backfill.fill(migration, new_embedder))
    index.build(migration)
    with engine.connect() as connection:
        connection.exec_driver_sql("set enable_seqscan = off")
        vector = new_embedder.embed_query("coffee")
        rows = nearest(connection, migration.new, vector, ["id"], 50)
    assert len({row["id"] for row in rows}) == 50

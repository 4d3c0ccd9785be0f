import pytest

from ragkit.errors import SpaceNotReady
from ragkit.retrieval import contract_changes
from ragkit.retrieval.service import SearchService
from ragkit.retrieval.space import FILLING
from tests.conftest import TEXTS


class ManualClock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def service(filled, new_embedder, clock):
    return SearchService(
        filled.engine, new_embedder, filled.plan.table.qualified_name, ["name"], clock=clock
    )


def test_the_nearest_row_comes_first(service):
    assert service.search(TEXTS[3], 2)[0]["name"] == "Bubbles"
    assert len(service.search(TEXTS[3], 50)) == 6


def test_health_reports_model_column_coverage_and_contract(service, filled):
    health = service.health()
    assert (health.model, health.column) == (filled.plan.new.model, "new vector")
    assert health.coverage == 1.0
    assert health.contract == filled.new.space.fingerprint


def test_a_changed_contract_is_followed_after_the_refresh_interval(service, filled, clock):
    assert service.search("tea", 1)
    with filled.engine.begin() as connection:
        contract_changes.set_state(
            connection, filled.plan.table.qualified_name, "new vector", FILLING
        )
    clock.now = 4.9
    assert service.search("tea", 1)
    clock.now = 5.1
    with pytest.raises(SpaceNotReady, match="filling"):
        service.search("tea", 1)


def test_two_revisions_search_the_columns_of_their_own_models(service, filled, old_embedder):
    """As during a cut-over."""
    old = SearchService(filled.engine, old_embedder, filled.plan.table.qualified_name, ["name"])
    assert old.health().column == "embedding"
    assert service.health().column == "new vector"
    assert old.search(TEXTS[1], 1)[0]["name"] == service.search(TEXTS[1], 1)[0]["name"]

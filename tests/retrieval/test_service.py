import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from ragkit.database.engine import engine_from_env
from ragkit.errors import DatabaseError, ModelUnavailable, SpaceNotReady
from ragkit.migration.rescue.service import start_rescue
from ragkit.retrieval import contract_changes, search
from ragkit.retrieval.rescue.search import NOT_RANKED
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
    assert service.search(TEXTS[3], 2).rows[0]["name"] == "Bubbles"
    assert len(service.search(TEXTS[3], 50).rows) == 6


def test_health_reports_model_column_and_contract(service, filled):
    health = service.health()
    assert (health.model, health.column) == (filled.plan.new.model, "new vector")
    assert health.contract == filled.new.space.fingerprint


def test_health_does_not_read_the_table(service, filled):
    """So that its cost does not grow with the rows."""
    with filled.engine.connect() as connection:
        connection.exec_driver_sql(f"lock table {filled.quoted_table}")
        with filled.engine.connect() as other:
            other.exec_driver_sql("set lock_timeout = 100")
            with pytest.raises(sa.exc.DBAPIError):
                other.execute(filled.select(filled.key))
        assert service.health().column == "new vector"


def test_a_table_without_its_schema_is_the_same_table(filled, new_embedder):
    bare = SearchService(filled.engine, new_embedder, filled.plan.table.name, ["name"])
    assert bare.health().contract == filled.new.space.fingerprint
    assert bare.search(TEXTS[3], 1).rows[0]["name"] == "Bubbles"


def test_a_search_has_a_limit_that_the_server_keeps(service, filled, monkeypatch):
    """Of its transaction only."""
    monkeypatch.setattr(search, "STATEMENT_MS", 1)
    with filled.engine.connect() as connection:
        connection.exec_driver_sql(f"lock table {filled.quoted_table}")
        with pytest.raises(DatabaseError, match="statement timeout"):
            service.search("tea", 1)
    with filled.engine.connect() as connection:
        assert connection.scalar(sa.text("show statement_timeout")) == "0"


def test_a_search_is_one_round_trip(filled, new_embedder, database, monkeypatch):
    """Once the contract is read. Counted where the driver writes to its socket."""
    engine = engine_from_env({"DATABASE_URL": database.render_as_string()}, ping=False)
    table = filled.plan.table.qualified_name
    service = SearchService(engine, new_embedder, table, ["name"], refresh_seconds=600)
    service.search("tea", 1)
    trips = []
    send = socket.SocketIO.write
    monkeypatch.setattr(socket.SocketIO, "write", lambda s, b: trips.append(len(b)) or send(s, b))
    assert service.search(TEXTS[3], 2).rows[0]["name"] == "Bubbles"
    assert len(trips) == 1
    engine.dispose()


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
    assert old.search(TEXTS[1], 1).rows[0]["name"] == service.search(TEXTS[1], 1).rows[0]["name"]


class TestRescued:
    @pytest.fixture
    def fresh(self, migration, new_embedder):
        start_rescue(migration, new_embedder)
        name = migration.plan.table.qualified_name
        return lambda embedder: SearchService(migration.engine, embedder, name, ["name"])

    def test_many_threads_share_one_search(self, fresh, new_embedder):
        def writers():
            return sum(thread.name == "rescue" for thread in threading.enumerate())

        service, before, together = fresh(new_embedder), writers(), threading.Barrier(20)

        def ask(_):
            together.wait()
            return service.search("fish", 1).rows[0]["name"]

        with ThreadPoolExecutor(20) as pool:
            assert set(pool.map(ask, range(20))) == {"Harbour Grill"}
        assert writers() == before + 1

    def test_a_service_that_starts_while_the_model_is_down_answers(self, fresh, new_embedder):
        class Down:
            model = new_embedder.model

            def embed_query(self, _):
                raise ModelUnavailable("down")

        answer = fresh(Down()).search("fish", 1)
        assert (answer.rows, answer.degraded) == ([{"name": "Harbour Grill"}], NOT_RANKED)

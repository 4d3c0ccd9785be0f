"""A backfill and the questions of a rescued service, which share one quota."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.providers.vertex import VertexEmbedder
from ragkit.migration.backfill.model_calls.costs import QUESTIONS, read_costs, read_usd
from ragkit.migration.backfill.model_calls.metering import CostMeter
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.rescue.live_quota import MAX_AHEAD_SECONDS, PENALTY_SECONDS
from ragkit.migration.rescue.service import end_rescue, start_rescue
from ragkit.retrieval.rescue.plan import read_plan
from ragkit.retrieval.service import SearchService
from tests.conftest import TEXTS, changed, column_of, make_table, with_plan

MODEL = find_model("text-embedding-005")
UNITS = ("requests", "tokens")
WORDS = [f"word{number}" for number in range(128)]
PLACES = [f"Place {n} is a {WORDS[n]} of {WORDS[7 * n % 128]}." for n in range(128)]


@pytest.fixture
def embedder(vertex):
    return VertexEmbedder(MODEL, {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address})


def open_migration(engine, plan, texts, **changes) -> Migration:
    plan = changed(plan, {"new.model": MODEL.name, "index.type": "none", **changes})
    make_table(engine, plan, texts)
    return Migration.open(plan, engine)


@pytest.fixture
def migration(engine, plan, embedder):
    limits = {"backfill.requests_per_minute": 60, "backfill.tokens_per_minute": 6000}
    migration = open_migration(engine, plan, TEXTS, **limits)
    start_rescue(migration, embedder)
    return migration


def take(migration, requests=0, tokens=0, refused=0, engine=None):
    """As a question does; answers by how many seconds the quota is taken then."""
    with migration.engine.connect() as connection:
        plan = read_plan(connection, migration.new)
    with (engine or migration.engine).begin() as connection:
        values = sa.text(f"select {plan.take_quota}(:requests, :tokens, :refused)")
        connection.execute(values, {"requests": requests, "tokens": tokens, "refused": refused})
    return seconds_ahead(migration)


def seconds_ahead(migration):
    with migration.engine.connect() as connection:
        free_at = "greatest(free_at, tokens_free_at)"
        ahead = f"select extract(epoch from {free_at} - clock_timestamp()) from ragkit.quota"
        return float(connection.scalar(sa.text(ahead)))


def questions(migration):
    """What the ledger has for them."""
    return [c for c in read_costs(migration) if c.model == MODEL.name + QUESTIONS]


def ask(service, text, rows=3):
    answer = service.search(text, rows)
    rescued = service._rescue()
    rescued.filling.wait()
    rescued.meter.wait()
    return answer


class TestFunction:
    """60 requests and 6,000 tokens a minute."""

    @pytest.mark.parametrize(
        ("use", "seconds"),
        [
            ({"requests": 3}, 3.0),
            ({"requests": 3, "tokens": 500}, 5.0),
            ({"refused": 4}, PENALTY_SECONDS),
            ({"requests": 1, "refused": 1}, 1 + PENALTY_SECONDS),
            ({"requests": 500}, MAX_AHEAD_SECONDS),
        ],
    )
    def test_it_takes_the_time_of_what_was_used(self, migration, use, seconds):
        assert take(migration, **use) == pytest.approx(seconds, abs=0.3)

    def test_the_next_one_comes_on_top_up_to_a_minute(self, migration):
        assert take(migration, requests=2) == pytest.approx(2, abs=0.3)
        assert take(migration, requests=2) == pytest.approx(4, abs=0.3)
        for _ in range(3):
            assert take(migration, requests=50) <= MAX_AHEAD_SECONDS

    @pytest.mark.parametrize("use", [-5, -(2**63), None])
    def test_nobody_makes_the_backfill_faster(self, migration, use):
        before = take(migration, requests=9)
        assert take(migration, use, use, use) == pytest.approx(before, abs=0.3)
        assert take(migration, requests=2**62, tokens=2**62) <= MAX_AHEAD_SECONDS

    def test_the_backfill_s_own_reservations_stay(self, migration):
        with migration.engine.begin() as connection:
            later = "update ragkit.quota set free_at = now() + interval '5 minutes'"
            connection.exec_driver_sql(later)
        assert take(migration, requests=1, refused=1) == pytest.approx(300, abs=1)

    def test_the_backfill_pauses_for_a_refusal_without_a_quota_too(self, migration, embedder):
        """Not every model has one in the catalogue."""
        unlimited, pauses = replace(embedder.model, requests_per_minute=None), []
        free = with_plan(migration, {f"backfill.{unit}_per_minute": 0 for unit in UNITS})
        meter = CostMeter(free, unlimited, pauses.append)
        meter.before(10)
        assert pauses == []
        take(migration, refused=1)
        meter.before(10)
        assert pauses == [pytest.approx(PENALTY_SECONDS, abs=0.3)]

    def test_the_ledger_has_it_apart_from_the_backfill_s(self, migration):
        take(migration, requests=2, tokens=100)
        take(migration, requests=1, tokens=50, refused=1)
        (cost,) = questions(migration)
        assert (cost.requests, cost.tokens) == (3, 150)
        assert cost.usd == pytest.approx(MODEL.price(150))
        assert read_usd(migration) == 0.0  # a budget is the backfill's

    def test_a_role_that_may_write_nothing_may_call_it(self, migration, server):
        with server.engine(database=migration.engine.url.database).begin() as admin:
            admin.execute(sa.text('create role "asker" login'))
        asker = sa.create_engine(migration.engine.url.set(username="asker"))
        try:
            assert take(migration, requests=3, engine=asker) == pytest.approx(3, abs=0.3)
            with pytest.raises(sa.exc.DBAPIError, match="permission denied"), asker.begin() as c:
                c.exec_driver_sql("update ragkit.quota set free_at = now()")
        finally:
            asker.dispose()
            with server.engine(database=migration.engine.url.database).begin() as admin:
                admin.execute(sa.text('drop owned by "asker"; drop role "asker"'))

    def test_its_names_are_looked_up_nowhere_else(self, migration):
        """It has its owner's rights."""
        query = "select proconfig from pg_proc where proname like 'take%' and prosecdef"
        with migration.engine.connect() as connection:
            assert connection.scalar(sa.text(query)) == ["search_path=pg_catalog, pg_temp"]

    def test_another_quota_of_the_plan_replaces_it(self, migration, embedder):
        start_rescue(with_plan(migration, {"backfill.requests_per_minute": 6}), embedder)
        assert take(migration, requests=1) == pytest.approx(10, abs=0.3)

    def test_the_rescue_s_end_removes_it(self, migration):
        end_rescue(migration)
        end_rescue(migration)
        query = sa.text("select count(*) from pg_proc where proname like 'take%'")
        with migration.engine.connect() as connection:
            assert connection.scalar(query) == 0

    def test_a_model_that_costs_nothing_has_none(self, engine, plan, new_embedder):
        make_table(engine, plan, TEXTS)
        migration = Migration.open(plan, engine)
        start_rescue(migration, new_embedder)
        with engine.connect() as connection:
            assert read_plan(connection, migration.new).take_quota == ""
            assert connection.scalar(sa.text("select to_regclass('ragkit.quota')")) is None


def test_the_rows_that_traffic_asked_for_come_first_and_are_paid_for_once(
    migration, embedder, vertex
):
    service = SearchService(
        migration.engine, embedder, migration.plan.table.qualified_name, ["name"]
    )
    fast = with_plan(migration, {"backfill.requests_per_minute": 0})
    ask(service, "wool, fish or champagne")
    stored = column_of(migration.engine, migration, migration.plan.new.column)
    assert {key for key, vector in stored.items() if vector is not None} == {1, 2, 4}
    assert [count for *_, count in vertex.calls] == [1 + 3]
    list(run_backfill(fast, embedder))
    assert sum(count for *_, count in vertex.calls) == 1 + len(TEXTS)
    after = column_of(migration.engine, migration, migration.plan.new.column)
    assert [str(after[key]) for key in (1, 2, 4)] == [str(stored[key]) for key in (1, 2, 4)]

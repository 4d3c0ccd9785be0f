"""What is scraped before, during and after a real backfill."""

import pytest
import sqlalchemy as sa

from ragkit.migration.backfill.model_calls.costs import read_costs
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.control.settings import change_settings
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work.workers import working
from tests.conftest import with_plan
from tests.runbook.metrics.conftest import BUDGET, PLACES

MODEL = "text-embedding-005"


def rows(found, state):
    return found["ragkit_rows", state]


def test_before_during_and_after_a_backfill(scrape, migration, embedder):
    before = scrape()
    assert before["ragkit_up",] == before["ragkit_phase", "planned"] == 1
    assert rows(before, "pending") == len(PLACES)
    assert ("ragkit_requests_total", "rows", MODEL) not in before
    assert before["ragkit_workers", "backfill"] == 0
    expand(migration)
    seen = []
    for step in run_backfill(migration, embedder):
        seen.append(during := scrape())
        assert rows(during, "filled") + rows(during, "pending") == len(PLACES)
        assert rows(during, "filled") >= step.done
    assert any(0 < rows(found, "filled") < len(PLACES) for found in seen)
    assert max(found["ragkit_workers", "backfill"] for found in seen) == 1
    assert max(found["ragkit_sweep_claims",] for found in seen) == 1
    filled = [rows(found, "filled") for found in seen]
    assert filled == sorted(filled)
    after = scrape()
    assert rows(after, "filled") == len(PLACES)
    assert after["ragkit_phase", "backfilled"] == 1
    assert sum(v for (name, *_), v in after.items() if name == "ragkit_phase") == 1
    assert after["ragkit_sweep_done_blocks",] == after["ragkit_sweep_blocks",] > 0
    assert after["ragkit_workers", "backfill"] == 0
    (cost,) = read_costs(migration)
    told = [after[f"ragkit_{unit}_total", "rows", MODEL] for unit in ("requests", "tokens")]
    assert told == [cost.requests, cost.tokens]
    spent = after["ragkit_spent_usd_total", "rows", MODEL]
    assert spent == pytest.approx(cost.usd) and spent > 0
    assert after["ragkit_budget_left_usd",] == pytest.approx(BUDGET - spent)
    assert after["ragkit_quota_requests_per_minute",] == embedder.model.requests_per_minute
    assert after["ragkit_index_valid",] == 0
    index.build(migration)
    assert scrape()["ragkit_index_valid",] == 1


def test_the_queue_and_refused_rows(scrape, migration, embedder):
    expand(migration)
    list(run_backfill(migration, embedder))
    with migration.engine.begin() as connection:
        change = sa.update(migration.table).where(migration.key <= 3)
        connection.execute(change.values({migration.content.name: "Another text."}))
        connection.exec_driver_sql("update ragkit.queue set at = at - interval '1 hour'")
        connection.exec_driver_sql(
            "insert into ragkit.dead_letter (migration, key, digest, reason) "
            f"select id, '4', md5('{PLACES[3]}'), 'no' from ragkit.migration"
        )
    found = scrape()
    assert found["ragkit_queue_keys",] == 3
    assert found["ragkit_queue_age_seconds",] == pytest.approx(3600, abs=60)
    assert found["ragkit_dead_letters",] == 1
    assert rows(found, "pending") == 3


def test_what_people_have_set_and_who_is_alive(scrape, migration):
    expand(migration)
    idle = scrape()
    assert idle["ragkit_held", "paused"] == idle["ragkit_held", "window"] == 0
    change_settings(migration, "pause", paused=True, pace=0.5, postponed=True)
    with working(migration.engine, "ragkit backfill"), working(migration.engine, "ragkit retire"):
        found = scrape()
    assert found["ragkit_held", "paused"] == found["ragkit_cutover_postponed",] == 1
    assert found["ragkit_pace_ratio",] == 0.5
    assert found["ragkit_workers", "backfill"] == found["ragkit_workers", "retire"] == 1
    with migration.engine.connect() as connection:
        hours = "select to_char(now() at time zone 'UTC' + interval '%s hours', 'HH24:MI')"
        start, end = (connection.exec_driver_sql(hours % n).scalar() for n in (2, 3))
    change_settings(migration, "window", window=f"{start}-{end} UTC")
    assert scrape()["ragkit_held", "window"] == 1
    with migration.engine.begin() as connection:
        connection.exec_driver_sql("update ragkit.control set pace = 0")
    found = scrape()
    assert found["ragkit_up",] == 1
    assert ("ragkit_held", "paused") not in found


def test_how_long_the_quota_holds_a_request(scrape, migration, embedder):
    expand(migration)
    slow = with_plan(migration, {"backfill.requests_per_minute": 4, "backfill.in_flight": 4})
    steps = run_backfill(slow, embedder)
    next(steps)
    next(steps)
    assert 15 < scrape()["ragkit_quota_wait_seconds",] <= 60
    change_settings(migration, "stop", stopped_at=sa.func.clock_timestamp())
    steps.close()

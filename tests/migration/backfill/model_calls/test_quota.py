"""The quota that all processes share."""

import threading
import time

import pytest

from ragkit.migration.backfill.model_calls.metering import CostMeter
from ragkit.migration.backfill.model_calls.quota import BURST_SECONDS, waits
from tests.conftest import with_plan


def test_workers_that_share_a_quota_send_no_burst(migration, embedder):
    """Four workers, 1,200 requests a minute: one request every 50 ms."""
    shared, sent_at = with_plan(migration, {"backfill.requests_per_minute": 1200}), []

    def work():
        meter = CostMeter(shared, embedder.model)
        for _ in range(5):
            meter.before(1)
            sent_at.append(time.monotonic())

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(sent_at) == 20
    assert max(sent_at) - min(sent_at) >= 19 * 0.05 - 0.04
    for start in sorted(sent_at):  # five in a quarter second, and more after a stall
        assert sum(start <= at < start + 0.25 for at in sent_at) <= 10


def test_a_quota_of_tokens_delays_requests(migration, embedder):
    pauses = []
    limited = with_plan(migration, {"backfill.tokens_per_minute": 6000})
    meter = CostMeter(limited, embedder.model, pauses.append)
    for _ in range(3):
        meter.before(100)  # one second of the quota each
    assert pauses == pytest.approx([1.0, 2.0], abs=0.3)


def test_small_and_large_requests_by_turns_use_the_whole_quota(migration, embedder):
    """10 requests and 100 tokens a second: 10 of 1 and 1 of 100 tokens take little more than a
    second, and not two."""
    limits = {"backfill.requests_per_minute": 600, "backfill.tokens_per_minute": 6000}
    meter = CostMeter(with_plan(migration, limits), embedder.model, lambda _: None)
    begin = time.monotonic()
    for tokens in 2 * [*10 * [1], 100]:
        meter.before(tokens)
    with migration.engine.connect() as connection:
        taken = waits(connection, embedder.model) + time.monotonic() - begin
    assert taken == pytest.approx(2.2, abs=0.3)


def test_tokens_that_nobody_used_are_kept_for_a_moment_only(migration, embedder):
    """100 tokens a second."""
    limits = {"backfill.requests_per_minute": 10**6, "backfill.tokens_per_minute": 6000}
    pauses = []
    meter = CostMeter(with_plan(migration, limits), embedder.model, pauses.append)
    with migration.engine.begin() as connection:
        connection.exec_driver_sql(
            "update ragkit.quota set free_at = now() - interval '1 hour', "
            "tokens_free_at = now() - interval '1 hour'"
        )
    for _ in range(3):
        meter.before(round(100 * BURST_SECONDS))
    assert pauses == [pytest.approx(BURST_SECONDS, abs=0.3)]


def test_the_quota_of_an_earlier_version_is_taken_over(migration, embedder):
    with migration.engine.begin() as connection:
        CostMeter(migration, embedder.model)
        connection.exec_driver_sql("alter table ragkit.quota drop column tokens_free_at")
        connection.exec_driver_sql("update ragkit.quota set free_at = now() + interval '5 s'")
    with migration.engine.connect() as connection:
        assert waits(connection, embedder.model) == 0
    pauses = []
    CostMeter(migration, embedder.model, pauses.append).before(10)
    assert pauses == [pytest.approx(5, abs=0.5)]

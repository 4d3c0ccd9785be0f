"""The quota that all processes share."""

import threading
import time

import pytest

from ragkit.migration.backfill.model_calls.metering import (
    CostMeter,
)
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

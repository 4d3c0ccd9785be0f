"""What a whole backfill shows of its stages."""

import threading
import time
from collections import Counter

import pytest

from ragkit.errors import ConfigError, ModelBusy
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from tests.conftest import TEXTS, changed, make_table, with_plan
from tests.migration.backfill.vectors import check_vectors
from tests.stand_ins.recording import RecordingEmbedder


class Gauge:
    """How many calls run at once, and the most that did."""

    def __init__(self, seconds):
        self.now = self.most = self.calls = 0
        self._seconds, self._lock = seconds, threading.Lock()

    def __call__(self, texts):
        with self._lock:
            self.now, self.calls = self.now + 1, self.calls + 1
            self.most = max(self.most, self.now)
        time.sleep(self._seconds)
        with self._lock:
            self.now -= 1


@pytest.fixture
def many(engine, plan):
    make_table(engine, plan, [f"Place {n} is a shop. Wool." for n in range(120)])
    migration = Migration.open(changed(plan, {"backfill.batch_size": 5}), engine)
    expand(migration)
    return migration


def test_requests_are_in_flight_together(many, new_embedder):
    gauge = Gauge(0.1)
    eight = with_plan(many, {"backfill.in_flight": 8})
    start = time.monotonic()
    list(run_backfill(eight, RecordingEmbedder(new_embedder, gauge)))
    assert gauge.most == 8
    assert time.monotonic() - start < 24 * 0.1  # one after the other
    check_vectors(many, new_embedder)


def test_a_model_that_is_busy_gets_fewer_at_once_and_every_row_is_filled(many, new_embedder):
    gauge, running = Gauge(0.05), []

    def only_three(texts):
        if gauge.now >= 3:
            running.append(gauge.now)
            raise ModelBusy("429")
        gauge(texts)

    eight = with_plan(many, {"backfill.in_flight": 8})
    list(run_backfill(eight, RecordingEmbedder(new_embedder, only_three)))
    assert running
    assert gauge.most <= 3
    check_vectors(many, new_embedder)


def test_the_same_text_is_embedded_once_and_the_ledger_says_so(engine, plan, new_embedder):
    make_table(engine, plan, TEXTS * 20)
    migration = Migration.open(plan, engine)
    expand(migration)
    recorder = RecordingEmbedder(new_embedder)
    list(run_backfill(migration, recorder))
    assert Counter(recorder.texts) == Counter(TEXTS)
    check_vectors(migration, new_embedder)
    with engine.connect() as connection:
        query = "select detail ->> 'rows' from ragkit.event where kind = 'reused'"
        assert connection.exec_driver_sql(query).scalars().all() == ["114"]


def test_more_requests_than_a_minute_allows_are_refused(many, new_embedder):
    plan = {"backfill.in_flight": 8, "backfill.requests_per_minute": 4}
    with pytest.raises(ConfigError, match=r"in_flight is 8, but the quota .* is 4 requests a min"):
        list(run_backfill(with_plan(many, plan), new_embedder))


def test_while_the_model_is_silent_progress_is_told(many, new_embedder):
    slow = RecordingEmbedder(new_embedder, lambda _: time.sleep(2.5))
    run = run_backfill(with_plan(many, {"backfill.batch_size": 60}), slow)
    first, second = next(run), next(run)
    assert (first.done, second.done, second.in_flight) == (0, 0, 1)
    assert second.seconds < 2.5
    run.close()

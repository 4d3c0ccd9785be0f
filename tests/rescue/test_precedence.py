"""Questions and a backfill share a quota that the service enforces: what the precedence is worth.

By a ratio of two runs, and not beside other tests: a busy machine would hide it.
"""

import threading
import time
from dataclasses import dataclass, replace

from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.rescue.service import start_rescue
from ragkit.retrieval.rescue.plan import read_plan, write_plan
from ragkit.retrieval.service import SearchService
from tests.migration.rescue.test_live_quota import PLACES, WORDS, embedder, open_migration

__all__ = ["embedder"]


@dataclass(frozen=True)
class Run:
    """Answers that were degraded, of `asked`, and refusals of the service for each question."""

    asked: int
    degraded: int
    refusals: float


class TestTogether:
    """The service enforces its quota of 20 requests a second. The backfill alone uses all of it,
    and eight questions a second come in."""

    def test_questions_have_precedence(self, engine, plan, embedder, vertex):
        limits = {
            "backfill.batch_size": 2, "backfill.in_flight": 8, "rescue.rerank": 3,
            "backfill.requests_per_minute": 1200, "rescue.seconds": 3.0,
        }  # fmt: skip
        migration = open_migration(engine, plan, PLACES, **limits)
        start_rescue(migration, embedder)
        vertex.quota, vertex.quota_seconds, vertex.delay = 40, 2.0, 0.05
        first = self.run(migration, embedder, vertex)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"drop table {migration.quoted_table}")
            connection.exec_driver_sql("drop schema ragkit cascade")
        migration = open_migration(engine, plan, PLACES, **limits)
        start_rescue(migration, embedder)
        with engine.begin() as connection:
            rescue = replace(read_plan(connection, migration.new), take_quota="")
            write_plan(connection, migration.new, rescue)
        without = self.run(migration, embedder, vertex)
        assert min(first.asked, without.asked) >= 20
        assert first.degraded == 0
        assert first.refusals < without.refusals / 3, (first, without)

    def run(self, migration, embedder, vertex) -> Run:
        name = migration.plan.table.qualified_name
        service = SearchService(migration.engine, embedder, name, ["name"])
        vertex.over_quota.clear()
        answers, asking, stop = [], [], threading.Event()

        def traffic():
            for number in range(len(WORDS)):
                text = f"{WORDS[-number]} or {WORDS[11 * number % len(WORDS)]}"
                asking.append(
                    threading.Thread(target=lambda t=text: answers.append(service.search(t, 3)))
                )
                asking[-1].start()
                if stop.wait(1 / 8):
                    return

        clock = threading.Thread(target=traffic)
        clock.start()
        start = time.monotonic()
        try:
            *_, last = run_backfill(migration, embedder)
        finally:
            stop.set()
            for thread in (clock, *asking):
                thread.join()
        assert (last.done, last.total) == (len(PLACES), len(PLACES))
        assert time.monotonic() - start < 30
        refused = sum("RETRIEVAL_QUERY" in tasks for tasks in vertex.over_quota)
        degraded = sum(bool(answer.degraded) for answer in answers)
        assert len(answers) == len(asking)
        return Run(len(answers), degraded, refused / len(answers))

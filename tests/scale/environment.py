"""What a proof at scale runs in: a PostgreSQL, a simulated API, and a Dask scheduler with workers
that are started again when they end, as a container platform does."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.schema.expansion import expand
from ragkit.runbook.runbook import Runbook
from tests.bench.backfill import OLD, UNTHROTTLED
from tests.bench.database import Clone
from tests.bench.embedders import Speed
from tests.conftest import environment
from tests.stand_ins.dask import DaskCluster

SHORT, LONG = 64, 768
"""Dimensions: short vectors stay in the row, and hide least of what the engine costs; of the long
ones is what is planned."""
MODEL = "openai:simulated"
KEY = {"OPENAI_API_KEY": "sk-simulated"}
IN_FLIGHT, USD_PER_MILLION = 8, 0.10
RESTART_SECONDS = 1.0


@dataclass
class Api:
    """`log` has a line for each request."""

    port: int
    log: Path
    speed: Speed
    dimension: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@contextmanager
def serving_api(folder: Path, speed: Speed, dimension: int) -> Iterator[Api]:
    log = folder / f"calls-{dimension}.jsonl"
    log.touch()
    given = str(log), str(speed.seconds), str(dimension)
    command = [sys.executable, "-m", "tests.scale.api", *given]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), text=True) as process:
        try:
            assert process.stdout is not None
            yield Api(int(process.stdout.readline()), log, speed, dimension)
        finally:
            process.kill()


def plan_of(clone: Clone, api: Api, **backfill: object) -> Plan:
    return Plan.of({
        "database": {"url": clone.engine.url.render_as_string()},
        "table": {"name": "documents", "key": "id", "content": "content"},
        "old": {"model": OLD[api.dimension], "column": "embedding"},
        "new": {"model": f"{MODEL}/{api.dimension}", "column": "vector_new"},
        "backfill": {"slow_factor": UNTHROTTLED, "model_seconds": 20.0, **backfill},
        "model_facts": {MODEL: {
            "base_url": api.url, "max_texts": api.speed.texts, "in_flight": IN_FLIGHT,
            "usd_per_million_tokens": USD_PER_MILLION,
        }},
    })  # fmt: skip


def expanded(plan: Plan, folder: Path) -> Runbook:
    """With each write of a vector recorded in the table "fills", by a trigger of its own."""
    runbook = Runbook(plan, folder)
    expand(runbook.migration, runbook.new_embedder)
    with runbook.engine.begin() as connection:
        for statement in FILLS.split(";;"):
            connection.exec_driver_sql(statement)
    return runbook


FILLS = """
    create table fills (id bigint not null);;
    create function note_fills() returns trigger language plpgsql as $$
    begin
        insert into fills select id from changed where vector_new is not null;
        return null;
    end $$;;
    create trigger note_fills after update on documents
        referencing new table as changed for each statement execute function note_fills()
"""


def count_fills(migration: Migration) -> tuple[int, int, int]:
    """Rows that were filled once, and more than once; and those without a vector."""
    with migration.engine.connect() as connection:
        once, more = connection.exec_driver_sql(
            "select count(*) filter (where n = 1), count(*) filter (where n > 1) "
            "from (select count(*) as n from fills group by id) counted"
        ).one()
        pending = "select count(*) from documents where vector_new is null"
        return once, more, connection.exec_driver_sql(pending).scalar_one()


def count_filled(migration: Migration) -> int:
    with migration.engine.connect() as connection:
        return connection.exec_driver_sql("select count(*) from fills").scalar_one()


def count_connections(migration: Migration) -> int:
    """Of all processes of ragkit."""
    with migration.engine.connect() as connection:
        return connection.exec_driver_sql(
            "select count(*) from pg_stat_activity where datname = current_database() "
            "and application_name = 'ragkit'"
        ).scalar_one()


class Supervised:
    """A cluster whose processes are started again when they have ended."""

    def __init__(self, cluster: DaskCluster, workers: int):
        self.cluster, self._count = cluster, workers
        self.killed: list[float] = []
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> "Supervised":
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._keeper.join()

    def kill_worker(self) -> None:
        """The oldest one, with SIGKILL."""
        self._kill(self.cluster.workers[0])

    def kill_scheduler(self) -> None:
        assert self.cluster.scheduler is not None
        self._kill(self.cluster.scheduler)

    def _kill(self, process: subprocess.Popen) -> None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        self.killed.append(time.time())

    def _keep(self) -> None:
        while not self._ended.wait(RESTART_SECONDS):
            scheduler, workers = self.cluster.scheduler, self.cluster.workers
            if scheduler is not None and scheduler.poll() is not None:
                self.cluster.start_scheduler()
            workers[:] = [worker for worker in workers if worker.poll() is None]
            for _ in range(self._count - len(workers)):
                self.cluster.start_worker("--no-nanny")

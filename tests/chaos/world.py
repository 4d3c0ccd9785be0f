"""The stage: a sandbox with a large table, an app on it, and processes that come and go."""

import itertools
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
import yaml

from ragkit.embedders import load
from ragkit.migration.plan import Plan
from ragkit.migration.subject import Migration
from ragkit.sandbox.stand_in import DATABASE, OLD_COLUMN, Sandbox, amenities, sample_rows

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = "wordllama-64", "wordllama-256"
COMMIT = 2000
SMALLEST_BATCH = 128


class World:
    def __init__(self, folder: Path, port: int, rows: int, run_dir: Path):
        self.folder, self.rows, self.log = folder, rows, run_dir / "ragkit.log"
        self.sandbox = Sandbox(port, folder / "home")
        self.sandbox.app._settings["STOCK_COLUMNS"] = f"{OLD}={OLD_COLUMN}"
        self.engine = sa.create_engine(self.sandbox.url, pool_pre_ping=True)
        self.plan = Plan(
            old_model=OLD, new_model=NEW, new_column="embedding_256",
            batch_size=max(SMALLEST_BATCH, rows // 80), app_port=port, run_dir=str(run_dir),
            override="wordllama at two dimensions: the verdict is not what is proved",
        )  # fmt: skip
        self.params = folder / "chaos.yaml"
        self.set()
        self.old_model_is_gone = folder / "cut-over"

    def set(self, **changes: object) -> None:
        self.plan = self.plan.model_copy(update=changes)
        self.params.write_text(yaml.safe_dump(self.plan.model_dump()))

    def build(self) -> None:
        """The table with its rows, and a live HNSW index on the old column."""
        self.sandbox.up()
        embedder = load(OLD)
        table, source = amenities(embedder.model.dimension), itertools.cycle(sample_rows())
        rows = [
            {**row, "id": n, "content": f"{row['content']} Number {n}."}
            for n, row in zip(range(1, self.rows + 1), source, strict=False)
        ]
        vectors = embedder.embed_documents([row["content"] for row in rows])
        filled = [r | {OLD_COLUMN: v} for r, v in zip(rows, vectors, strict=True)]
        with self.engine.begin() as connection:
            table.create(connection)
            for start in range(0, len(filled), COMMIT):
                connection.execute(sa.insert(table), filled[start : start + COMMIT])
            connection.exec_driver_sql(
                f"create index old_hnsw on amenities using hnsw ({OLD_COLUMN} vector_cosine_ops)"
            )
            connection.exec_driver_sql("analyze amenities")
        app = self.sandbox.app
        app.promote(app.stage(OLD))

    def migration(self) -> Migration:
        return Migration.open(self.plan, self.engine)

    def ragkit(self, *arguments: str) -> subprocess.Popen:
        return self._run("ragkit", *arguments)

    def backfill(self, moods: str) -> subprocess.Popen:
        """With a model that is in these moods, one a call."""
        return self._run("tests.chaos.moody", moods, "backfill")

    def _run(self, *arguments: str) -> subprocess.Popen:
        env = {
            **os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1",
            "RAGKIT_SANDBOX": str(self.folder / "home"),
        }  # fmt: skip
        with self.log.open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *arguments, "--params", str(self.params)],
                env=env, cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip

    def until_done(self, *arguments: str, tries: int = 10) -> int:
        """Runs a verb again and again until it exits 0, as an engineer would. Returns the runs."""
        for number in range(1, tries + 1):
            if self.ragkit(*arguments).wait(600) == 0:
                return number
            time.sleep(1)
        raise RuntimeError(f"{arguments} did not end well: {self.log}")

    def scalar(self, statement: str) -> object:
        with self.engine.connect() as connection:
            return connection.scalar(sa.text(statement))

    def filled(self) -> int:
        return self.scalar("select count(embedding_256) from amenities")

    def drop_connections(self, pid: int | None = None) -> int:
        """The runbook's, or one of them, as a proxy's restart would. Returns how many."""
        ours = "select pg_terminate_backend(pid) from pg_stat_activity where " + (
            f"pid = {pid:d}" if pid else f"application_name = 'ragkit' and datname = '{DATABASE}'"
        )
        with self.sandbox.postgres.engine().connect() as admin:
            return len(admin.execute(sa.text(ours)).all())

    @contextmanager
    def process(self, module: str, *arguments: object):
        """A process that runs beside, ended with the block."""
        started = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}, cwd=ROOT,
        )  # fmt: skip
        try:
            yield started
        finally:
            started.send_signal(signal.SIGTERM)
            started.wait(30)

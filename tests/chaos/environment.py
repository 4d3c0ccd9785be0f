"""What a proof runs in: a sandbox with a large table, its app, and ragkit's processes."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
import yaml

from ragkit.embedding.load import load_embedder
from ragkit.migration.plan import Plan
from ragkit.sandbox.sample import OLD_COLUMN, amenities, sample_rows
from ragkit.sandbox.sandbox import DATABASE, ROLE, Sandbox
from tests.conftest import changed, few_questions

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = "wordllama-64", "wordllama-256"
ROWS_PER_INSERT = 2000
MIN_BATCH = 128
CLAIMED = """
    select exists (
        select from ragkit.worker where until > now() and name like 'ragkit backfill by %'
        and (id in (select worker from ragkit.queue) or id in (select worker from ragkit.claim)))
"""
CLAIM_SECONDS = 30


def write_plan(file: Path, plan: Plan) -> None:
    file.write_text(yaml.safe_dump(plan.model_dump(by_alias=True)))


class ChaosEnvironment:
    """`cut_over_flag`: a file that tells the writers that the old model is no longer served."""

    def __init__(self, folder: Path, port: int, rows: int, run_dir: Path):
        self.folder, self.rows, self.log = folder, rows, run_dir / "ragkit.log"
        self.sandbox = Sandbox(port, folder / "home")
        self.sandbox.app._settings["STOCK_COLUMNS"] = f"{OLD}={OLD_COLUMN}"
        self.engine = sa.create_engine(self.sandbox.url, pool_pre_ping=True)
        self.run_dir = run_dir
        self.plan = Plan.from_file(
            ROOT / "params" / "sandbox.yaml",
            [
                f"old.model={OLD}",
                f"new.model={NEW}",
                "new.column=embedding_256",
                f"backfill.batch_size={max(MIN_BATCH, rows // 80)}",
                f"app.port={port}",
                *few_questions(folder),
                "gates.override=one model at two dimensions; the proof is not about the verdict",
            ],
        )
        self.params = folder / "chaos.yaml"
        self.change_plan()
        self.cut_over_flag = folder / "cut-over"

    def change_plan(self, changes: dict[str, object] | None = None) -> None:
        self.plan = changed(self.plan, changes or {})
        write_plan(self.params, self.plan)

    def build(self) -> None:
        """Makes the table with its rows and an HNSW index on the old column, and starts the app."""
        self.sandbox.up()
        embedder = load_embedder(OLD)
        table, source = amenities(embedder.model.dimension), itertools.cycle(sample_rows())
        rows = [
            {**row, "id": n, "content": f"{row['content']} Number {n}."}
            for n, row in zip(range(1, self.rows + 1), source, strict=False)
        ]
        vectors = embedder.embed_documents([row["content"] for row in rows])
        filled = [r | {OLD_COLUMN: v} for r, v in zip(rows, vectors, strict=True)]
        with self.engine.begin() as connection:
            table.create(connection)
            for start in range(0, len(filled), ROWS_PER_INSERT):
                connection.execute(sa.insert(table), filled[start : start + ROWS_PER_INSERT])
            connection.exec_driver_sql(
                f"create index old_hnsw on amenities using hnsw ({OLD_COLUMN} vector_cosine_ops)"
            )
            connection.exec_driver_sql("analyze amenities")
        app = self.sandbox.app
        app.promote(app.stage(OLD))

    def ragkit(self, *arguments: str) -> subprocess.Popen:
        return self._run("ragkit", *arguments)

    def backfill(
        self,
        behaviours: str,
        changes: dict[str, object] | None = None,
        preexec: Callable[[], None] | None = None,
    ) -> subprocess.Popen:
        """With a model that shows these behaviours, one for each call; `changes` of the plan."""
        params = self.folder / "changed.yaml"
        write_plan(params, changed(self.plan, changes or {}))
        return self._run(
            "tests.chaos.unreliable_model", behaviours, "backfill", params=params, preexec=preexec
        )

    def wait_for_claim(self) -> None:
        """Until a backfill has claimed rows."""
        deadline = time.time() + CLAIM_SECONDS
        while not self.scalar(CLAIMED):
            if time.time() > deadline:
                raise RuntimeError("no backfill has claimed rows")
            time.sleep(0.05)

    def _run(
        self,
        *arguments: str,
        params: Path | None = None,
        preexec: Callable[[], None] | None = None,
    ) -> subprocess.Popen:
        env = {
            **os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1",
            "RAGKIT_SANDBOX": str(self.folder / "home"),
        }  # fmt: skip
        with self.log.open("a") as log:
            return subprocess.Popen(
                [
                    sys.executable, "-m", *arguments,
                    "--params", str(params or self.params), "--run-dir", str(self.run_dir),
                ],
                env=env, cwd=ROOT, stdout=log, stderr=log, preexec_fn=preexec,  # noqa: PLW1509 (takes no lock)
            )  # fmt: skip

    def run_until_done(self, *arguments: str, max_runs: int = 10) -> int:
        """Repeats a command until it exits with 0, as an engineer would. Returns the runs."""
        for number in range(1, max_runs + 1):
            if self.ragkit(*arguments).wait(600) == 0:
                return number
            time.sleep(1)
        raise RuntimeError(f"{arguments} failed {max_runs} times: see {self.log}")

    def scalar(self, statement: str) -> object:
        with self.engine.connect() as connection:
            return connection.scalar(sa.text(statement))

    def count_filled(self) -> int:
        return self.scalar("select count(embedding_256) from amenities")

    def drop_connections(self, pid: int | None = None) -> int:
        """Ends ragkit's connections, or one of them, as a restart of a proxy does. Returns their
        number."""
        terminate = "select pg_terminate_backend(pid) from pg_stat_activity where " + (
            f"pid = {pid:d}"
            if pid
            else f"application_name = 'ragkit' and datname = '{DATABASE}' and usename = '{ROLE}'"
        )
        with self.sandbox.postgres.engine().connect() as admin:
            return len(admin.execute(sa.text(terminate)).all())

    @contextmanager
    def process(self, module: str, *arguments: object):
        """A process that runs during the block, and is stopped by SIGTERM at its end. Raises
        RuntimeError when it ended with an error."""
        process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}, cwd=ROOT,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                exit_code = process.wait(30)
            finally:
                process.kill()
        if exit_code not in (0, -signal.SIGTERM):
            raise RuntimeError(f"{module} ended with exit {exit_code}")

"""The sandbox whose app is down and whose old model nobody can call, from the command's first
second to the complete column."""

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from ragkit.evaluation.metrics.trec import Rankings
from ragkit.evaluation.questions import QuestionSet
from ragkit.evaluation.runs import retrieve
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.rescue.service import find_plan
from ragkit.retrieval.rescue.plan import RescuePlan
from ragkit.runbook import Runbook
from ragkit.runbook.parameters import Parameters
from ragkit.runbook.rescue.steps import RescueRun
from ragkit.sandbox.sandbox import DATABASE
from tests.conftest import PYTHON, ROOT, environment, free_port
from tests.rescue.server import READER, add_reader, admin

PARAMS = ROOT / "params" / "sandbox.yaml"
PAIRS = 26
ASKED_EVERY, COMMAND_SECONDS = 0.1, 300
KEPT = "native_vectors"


@dataclass(frozen=True)
class Down:
    """A sandbox of its own. `settings` are overrides of its plan."""

    home: Path
    settings: tuple[str, ...]

    def runbook(self) -> Runbook:
        return Runbook.of(Parameters(PARAMS, self.home.parent / "run", self.settings))


@contextmanager
def down() -> Iterator[Down]:
    """The table has its old vectors, nothing serves, and nothing is left behind at the end."""
    with tempfile.TemporaryDirectory(prefix="rescue ") as folder:
        home, before = Path(folder) / "home", os.environ.get("RAGKIT_SANDBOX")
        os.environ["RAGKIT_SANDBOX"] = str(home)
        settings = ("old.model=unknown/256", f"rescue.pairs={PAIRS}", f"app.port={free_port()}")
        site = Down(home, settings)
        sandbox = site.runbook().sandbox
        try:
            sandbox.up()
            add_reader(sandbox.postgres)
            sandbox.restore()
            yield site
        finally:
            sandbox.remove()
            del os.environ["RAGKIT_SANDBOX"]
            if before is not None:
                os.environ["RAGKIT_SANDBOX"] = before


def run_command(site: Down) -> dict[str, Any]:
    """`ragkit rescue` as its user runs it: the figures that it writes, and the `seconds` from its
    start to the first right answer, as a curl sees it; None without one."""
    runbook = site.runbook()
    command = [PYTHON, "-m", "ragkit", "rescue", "--params", str(PARAMS)]
    command += ["--run-dir", str(runbook.run_dir)]
    command += [text for setting in site.settings for text in ("--set", setting)]
    env = environment(RAGKIT_SANDBOX=str(site.home))
    curl = _Curl(runbook)
    curl.start()
    done = subprocess.run(
        command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=COMMAND_SECONDS,
        check=False,
    )  # fmt: skip
    seconds = time.monotonic() - curl.began
    curl.end()
    if done.returncode:
        raise RuntimeError(f"ragkit rescue ended with {done.returncode}: {done.stderr[-2000:]}")
    figures = json.loads((runbook.run_dir / "rescue.json").read_text())
    return {
        "seconds": curl.answered, "asked": curl.asked, "failed_after": curl.failed_after,
        "command_seconds": round(seconds, 1), "rescue.json": figures,
    }  # fmt: skip


class _Curl(threading.Thread):
    """Asks a judged question until it is answered by a row that is right, and then to the end.
    `failed_after`: requests without an answer since then."""

    def __init__(self, runbook: Runbook):
        super().__init__(daemon=True)
        questions = runbook.questions
        asked = next(name for name in questions.qrels if len(questions.texts[name].split()) > 2)
        self._url, self._text = runbook.app.url, questions.texts[asked]
        self._model, self._right = runbook.plan.new.model, _labels(runbook, questions, asked)
        self._ended, self.began = threading.Event(), time.monotonic()
        self.asked, self.failed_after, self.answered = 0, 0, None

    def run(self) -> None:
        while not self._ended.wait(ASKED_EVERY):
            is_right = self._ask()
            if self.answered is None and is_right:
                self.answered = round(time.monotonic() - self.began, 2)
            self.failed_after += self.answered is not None and not is_right
            self.asked += 1

    def end(self) -> None:
        self._ended.set()
        self.join()

    def _ask(self) -> bool:
        try:
            answer = httpx.post(self._url, json={"name": self._text}, timeout=30)
        except httpx.HTTPError:
            return False
        if answer.status_code != 200 or answer.headers["X-Embedding-Model"] != self._model:
            return False
        return any(row["name"] in self._right for row in answer.json()["results"])


def _labels(runbook: Runbook, questions: QuestionSet, name: str) -> set[str]:
    """What the app shows of the rows that are right."""
    right = [row for row, grade in questions.qrels[name].items() if grade > 0]
    migration = runbook.migration
    query = migration.select(migration.label).where(migration.key_text.in_(right))
    with runbook.engine.connect() as connection:
        return set(connection.scalars(query))


@dataclass(frozen=True)
class Prepared:
    """A service that is rescued by `rescue`. `bought` are the keys of the rows that were embedded
    beforehand; `native` are the rankings of the finished migration, whose vectors are kept aside:
    `fill` makes any part of the column."""

    migration: Migration
    plan: RescuePlan
    rescue: RescueRun
    bought: list[int]
    native: Rankings
    superuser: sa.Engine
    reader: sa.Engine
    keys: list[int] = field(default_factory=list)

    def fill(self, keys: Collection[int]) -> None:
        """Exactly these rows have their new vector then. No trigger notices."""
        column = self.migration.plan.new.column
        statement = sa.text(f"""
            update amenities a set {column} = case when a.id = any(:keys) then k.vector end
            from {KEPT} k where k.id = a.id and (a.{column} is null) = (a.id = any(:keys))
        """)
        with self.superuser.begin() as connection:
            connection.exec_driver_sql("set local session_replication_role = replica")
            connection.execute(statement, {"keys": list(keys)})


@contextmanager
def prepared(site: Down) -> Iterator[Prepared]:
    """From the beginning, by the same steps without the app; then the migration to its end."""
    runbook = site.runbook()
    sandbox = runbook.sandbox
    sandbox.restore()
    runbook = site.runbook()
    rescue = RescueRun(runbook)
    rescue.start()
    rescue.fit()
    migration, column = runbook.migration, runbook.plan.new.column
    plan = find_plan(migration)
    bought = _keys(migration, f"where {column} is not null")
    list(run_backfill(migration, runbook.new_embedder))
    native = retrieve(migration, migration.new, runbook.new_embedder, runbook.questions).rankings
    reader = sandbox.postgres.engine(READER, DATABASE)
    with admin(sandbox.postgres, DATABASE) as superuser:
        with superuser.begin() as connection:
            connection.exec_driver_sql(
                f"create table {KEPT} as select id, {column} as vector from amenities"
            )
        yield Prepared(
            migration, plan, rescue, bought, native, superuser, reader, _keys(migration, "")
        )
    reader.dispose()


def _keys(migration: Migration, where: str) -> list[int]:
    with migration.engine.connect() as connection:
        return list(
            connection.exec_driver_sql(f"select id from amenities {where} order by id").scalars()
        )

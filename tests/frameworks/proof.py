"""The whole migration of one framework's table, with requests through its own API all the time."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import sqlalchemy as sa

from ragkit.database.connecting import describe
from ragkit.errors import DeployError
from ragkit.migration.backfill.follower import follow
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.cutover import cut_over, roll_back
from ragkit.migration.discovery.answers import Answers
from ragkit.migration.discovery.initialise import initialise
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.progress.audit import audit
from ragkit.migration.retirement import retire
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.migration.verdict import GO, Verdict
from ragkit.runbook import Runbook
from ragkit.sandbox.postgres import Postgres
from tests.frameworks import models, supabase
from tests.frameworks.frameworks import MODELS, Framework
from tests.frameworks.service import Service
from tests.frameworks.traffic import Traffic

ROLE, NEW_COLUMN = "keeper", "embedding_next"
SECONDS = 2.0
"""Of each state: both revisions, the old one again, the new one alone."""
DRAIN_SECONDS = 30
CHECKED = (
    "index.type=hnsw", "check.method=GET", 'check.body={"q": "{question}", "k": 3}',
    "check.path=/search", "check.rows=rows", "check.field=text", "check.matches=content",
    "gates.override=the proof is not about the verdict", "app.smoke_question=wooly salter",
    "old.retire=true",
)  # fmt: skip
VERDICT = Verdict(GO, [], {})
Step = Callable[[Runbook], bool]


def cut_over_by_hand(runbook: Runbook) -> bool:
    """Whether the app was seen to serve the new model; else it must be deployed now."""
    with suppress(DeployError):
        return bool(cut_over(runbook.migration, runbook.app, VERDICT, runbook.smoke_question))
    return False


def roll_back_by_hand(runbook: Runbook) -> bool:
    """As cut_over_by_hand, for the old model."""
    with suppress(DeployError):
        return bool(roll_back(runbook.migration, runbook.app, runbook.smoke_question))
    return False


class Proof:
    """`folder` gets the params file and the apps' logs."""

    def __init__(self, framework: Framework, server: Postgres, folder: Path):
        self.framework, self.folder = framework, folder
        folder.mkdir(parents=True)
        self.traffic = Traffic()
        database = f"{framework.app} {framework.name}".lower().replace(" ", "_").replace(",", "")
        server.create(database, owner=ROLE)
        self.url = server.url(ROLE, database)
        self.engine = sa.create_engine(self.url, pool_pre_ping=True)
        user = ROLE
        if framework.name == "Supabase":
            user = supabase.set_up(server.engine(database=database), self.engine)
        socket, _, port = self.url.query["unix_sock"].rpartition("/.s.PGSQL.")
        address = f"postgresql://{user}@/{database}?host={quote(socket, safe='')}&port={port}"
        self.before = {"MODEL": framework.old, "SCHEMA": "public", "COLUMN": framework.vector,
                       "DATABASE": address}  # fmt: skip
        self.after = {**self.before, "MODEL": framework.new}
        if framework.way == "view":
            self.after["SCHEMA"] = "ragkit_v2"
        if framework.way == "column":
            self.after["COLUMN"] = NEW_COLUMN
        self.running: list[Service] = []

    def start(self, settings: dict[str, str]) -> Service:
        log = self.folder / f"{settings['MODEL']}.log"
        self.running.append(service := Service(self.framework, settings, log))
        return service.wait()

    def run(self) -> dict[str, Any]:
        """The figures. Raises whatever a step raises."""
        start = time.monotonic()
        try:
            old = self.start(self.before)
            self.traffic.fill(old)
            self.traffic.serve_by(old)
            with self.traffic.flowing():
                stale = self._migrate(old)
            return {**stale, **self._figures(), "seconds": round(time.monotonic() - start, 1)}
        finally:
            for service in self.running:
                with suppress(OSError):
                    service.stop()
            self.engine.dispose()

    def _migrate(self, old: Service) -> dict[str, int]:
        params = self._initialise(old)
        os.environ["DATABASE_URL"] = self.url.render_as_string()
        runbook = self._runbook(params, old)
        expand(runbook.migration, runbook.new_embedder)
        list(run_backfill(runbook.migration, runbook.new_embedder))
        index.build(runbook.migration)
        with self._following(runbook):
            new = self._switch(params, old)
            time.sleep(SECONDS)
            old = self._switch_back(params, new, old)
            time.sleep(SECONDS)
            new = self._switch(params, old)
            time.sleep(SECONDS)
            found = self._settle(self._runbook(params, new).migration)
        last = self._runbook(params, new)
        assert retire(last.migration, last.app).done
        time.sleep(SECONDS)
        return found

    def _initialise(self, old: Service) -> Path:
        """`ragkit init`, which must know whose table it is."""
        made = initialise(
            "env",
            Answers(table=self.framework.table, new_model=f"{MODELS}:{self.framework.new}",
                    old_model=f"{MODELS}:{self.framework.old}", new_column=NEW_COLUMN,
                    app_url=old.url),
            output=str(self.folder / "params.yaml"), replace=True,
            env={"DATABASE_URL": self.url.render_as_string()},
        )  # fmt: skip
        assert f"it looks like a table of {self.framework.name}" in made.notes, made.notes
        return made.params

    def _runbook(self, params: Path, asked: Service) -> Runbook:
        """A new one for each step, as each command is; `asked` is what users reach."""
        overrides = [*CHECKED, f"app.url={asked.url}", f"database.expect={describe(self.url)}"]
        return Runbook(Plan.from_file(params, overrides), self.folder)

    def _switch(self, params: Path, old: Service) -> Service:
        """Prepared by the first call of the step, which says what to deploy; recorded by the
        second. Between them both revisions serve, each with its own model."""
        if self.framework.way == "swap":
            return self._restart(params, old, self.after, cut_over_by_hand)
        cut_over_by_hand(self._runbook(params, old))
        new = self.start(self.after)
        self.traffic.serve_by(old, new)
        time.sleep(SECONDS)
        self.traffic.serve_by(new)
        assert cut_over_by_hand(self._runbook(params, new))
        return new

    def _switch_back(self, params: Path, new: Service, old: Service) -> Service:
        if self.framework.way == "swap":
            return self._restart(params, new, self.before, roll_back_by_hand)
        self.traffic.serve_by(old)
        assert roll_back_by_hand(self._runbook(params, old))
        return old

    def _restart(
        self,
        params: Path,
        before: Service,
        settings: dict[str, str],
        step: Callable[[Runbook], bool],
    ) -> Service:
        """The app is stopped, the names are swapped, the app is started with the other model."""
        with self.traffic.paused():
            before.stop()
            step(self._runbook(params, before))
            after = self.start(settings)
            self.traffic.services = [after]
        assert step(self._runbook(params, after))
        return after

    @contextmanager
    def _following(self, runbook: Runbook) -> Iterator[None]:
        """`ragkit follow`, beside everything."""
        stop, faults = threading.Event(), list[Exception]()
        migration = Migration.open(runbook.plan, self.engine)

        def run() -> None:
            try:
                for _ in follow(migration, runbook.new_embedder, runbook.old_embedder, stop):
                    pass
            except Exception as error:
                faults.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(30)
        if faults:
            raise faults[0]

    def _settle(self, migration: Migration) -> dict[str, int]:
        """Without traffic, once nothing is pending on either side: what the table holds."""
        with self.traffic.paused():
            paused, deadline = self.traffic.paused_ms, time.monotonic() + DRAIN_SECONDS
            while time.monotonic() < deadline and any(
                audit(side).pending for side in (migration, migration.reversed())
            ):
                time.sleep(0.5)
            found = self._look(migration.plan)
        self.traffic.paused_ms = paused  # this pause is the proof's, not the migration's
        return found

    def _look(self, plan: Plan) -> dict[str, int]:
        names = ", ".join(f'"{side.column}"::text' for side in (plan.old, plan.new))
        query = f'select {self.framework.text}, {names} from "{self.framework.schema}".'
        query += (
            f'"{self.framework.table}" {supabase.OWN if self.framework.name == "Supabase" else ""}'
        )
        with self.engine.connect() as connection:
            rows = connection.exec_driver_sql(query).all()
        figures = {"rows": len(rows), "stale": 0, "missing": 0}
        for place, name in ((1, self.framework.old), (2, self.framework.new)):
            for row in rows:
                if row[place] is None:
                    figures["missing"] += 1
                    continue
                made = np.array(getattr(models, name).embed_query(row[0]))
                held = np.fromstring(row[place].strip("[]"), sep=",")
                figures["stale"] += not np.allclose(held, made, atol=1e-3)
        figures["lost"] = int(sorted(row[0] for row in rows) != self.traffic.expected())
        return figures

    def _figures(self) -> dict[str, Any]:
        return {
            "requests": self.traffic.requests + self.traffic.writes,
            "failed": len(self.traffic.failures),
            "mixed": len(self.traffic.mixed),
            "paused_ms": round(self.traffic.paused_ms),
            "way": self.framework.way,
            "lines": 1 + len(self.framework.preset.lines),  # the model is one
            "why": [*self.traffic.failures[:3], *self.traffic.mixed[:3]],
        }

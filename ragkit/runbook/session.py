"""One validated object for a notebook or a command: the plan and what it leads to."""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa

from ragkit.app import App
from ragkit.app.cloud import CloudApp
from ragkit.app.grants import Check
from ragkit.app.manual import ManualApp
from ragkit.app.smoke import curl, smoke
from ragkit.comparison import questions
from ragkit.comparison.compare import Comparison, compare
from ragkit.comparison.evidence import Evidence, gather
from ragkit.comparison.known_items import known_items
from ragkit.comparison.questions import Judged
from ragkit.database import engine_from
from ragkit.embedders import Embedder, load
from ragkit.errors import ConfigError, DeployError, ModelError
from ragkit.migration.cost import Cost
from ragkit.migration.cutover import Switched
from ragkit.migration.plan import ROOT, Plan
from ragkit.migration.readiness import readiness
from ragkit.migration.status import Status, status
from ragkit.migration.subject import Migration
from ragkit.migration.verdict import Verdict
from ragkit.runbook.deployment import deployment
from ragkit.sandbox.stand_in import Sandbox

log = logging.getLogger(__name__)
KNOWN_ITEMS = "known-items"
"""In the place of a file of questions: they are made of the rows."""


@dataclass(frozen=True)
class Answer:
    """Which model answered, the line to ask the same, and the answer as it came."""

    serving: str
    curl: str
    answer: str


@dataclass(frozen=True)
class Runbook:
    """Everything below is made when first asked for; a plan with a fault never gets so far."""

    plan: Plan

    @classmethod
    def from_names(cls, names: Mapping[str, object]) -> "Runbook":
        """From a notebook's globals(). Raises PlanError."""
        return cls(Plan.from_names(names))

    @classmethod
    def from_file(cls, path: Path) -> "Runbook":
        return cls(Plan.from_file(path))

    @cached_property
    def sandbox(self) -> Sandbox:
        if self.plan.database != "sandbox":
            raise ConfigError(f"database is {self.plan.database!r}: there is no sandbox to start")
        port = os.environ.get("RAGKIT_PORT")  # with RAGKIT_SANDBOX, a second sandbox beside one
        return Sandbox(int(port) if port else self.plan.app_port)

    @cached_property
    def engine(self) -> sa.Engine:
        if self.plan.database == "sandbox":
            return self.sandbox.engine()
        if self.plan.database == "env":
            return engine_from(os.environ)
        return engine_from({**os.environ, "DATABASE_URL": self.plan.database})

    @cached_property
    def migration(self) -> Migration:
        return Migration.open(self.plan, self.engine)

    @cached_property
    def app(self) -> App:
        if self.plan.app == "cloud":
            return CloudApp(deployment(self.plan, os.environ))
        return self.sandbox.app if self.plan.app == "local" else ManualApp(self.plan.app_url)

    @cached_property
    def old_embedder(self) -> Embedder:
        return load(self.plan.old_model)

    @cached_property
    def new_embedder(self) -> Embedder:
        return load(self.plan.new_model)

    def old_or_none(self) -> Embedder | None:
        """The old model where it can still be called (one text shows it)."""
        try:
            self.old_embedder.embed_query("airport")
            return self.old_embedder
        except ModelError as error:
            log.warning("the old model cannot be called: %s", error)
            return None

    @cached_property
    def judged(self) -> Judged:
        if self.plan.questions == KNOWN_ITEMS:
            return known_items(self.migration)
        qrels = self.plan.path(self.plan.qrels) if self.plan.qrels else None
        return questions.read(self.plan.path(self.plan.questions), qrels)

    def compare(self) -> Comparison | None:
        """The judged questions of both columns; None without questions or without the old model:
        then stored vectors alone are compared."""
        if not self.plan.questions:
            return None
        judged, old = self.judged, self.old_or_none()
        return old and compare(self.migration, judged, old, self.new_embedder)

    def evidence(self) -> Evidence:
        """All that can be found out about the two columns."""
        return gather(self.migration, self.compare())

    def readiness(self, cost: Cost) -> list[Check]:
        old, today = self.old_or_none(), datetime.now(UTC).date()
        return readiness(self.migration, old, self.new_embedder, cost, today)

    @property
    def run_dir(self) -> Path:
        """Where this run leaves its files; runs/lab for a notebook that is run by hand."""
        folder = Path(self.plan.run_dir or ROOT / "runs" / "lab")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def status(self) -> Status:
        try:
            serving = self.app.serving()
        except (ConfigError, DeployError) as error:
            log.warning("the app cannot be looked at: %s", error)
            serving = None
        return status(self.migration, serving.model if serving else None)

    def ask(self) -> Answer:
        """The smoke question to the app as it serves now. Raises DeployError."""
        url, question = self.app.url, self.plan.smoke_question
        serving = self.app.serving()
        if serving is None:
            raise DeployError(f"no app serves at {url!r}")
        with self.app.client() as client:
            answer = smoke(client, question, serving.model)
        return Answer(serving.model, curl(url, question), answer)

    def write_comparison(self, verdict: Verdict) -> Path:
        """comparison.json: the verdict, the gates, every figure with its interval, the seed."""
        return self._write("comparison.json", verdict.as_json())

    def write_verdict(self, verdict: Verdict, switched: Switched) -> Path:
        """verdict.json: the same, what serves since and what it answered."""
        answer = json.loads(switched.answer)
        body = {**verdict.as_json(), "serving": switched.revision.model, "answer": answer}
        return self._write("verdict.json", body)

    def _write(self, name: str, body: dict) -> Path:
        path = self.run_dir / name
        text = json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")
        return path

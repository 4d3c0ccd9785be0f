"""The Runbook: one validated object for a notebook or a command, and what the plan leads to."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ragkit.database.engine import engine_from_env
from ragkit.database.translate import translate_errors
from ragkit.deploy.app import App
from ragkit.deploy.cloud_run import CloudApp
from ragkit.embedding.embedder import PROBE_TEXT, Embedder
from ragkit.embedding.load import load_embedder
from ragkit.errors import ConfigError, DeployError, ModelError
from ragkit.migration.inspection.long_texts import pending_lengths
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.plan.data import ColumnSection
from ragkit.migration.plan.plan import file_path
from ragkit.migration.plan.tables.choice import choose, require_one, split_choice
from ragkit.migration.plan.tables.load import load_plans
from ragkit.migration.preview.reviewed import SUFFIX, ReviewedPlan
from ragkit.migration.serving.canary_reports import CanaryReports
from ragkit.migration.serving.recognition import Recogniser
from ragkit.migration.status import Status, read_status
from ragkit.migration.verdict import Verdict
from ragkit.migration.work.task import session_name
from ragkit.runbook.deployment import deployment_from, own_app
from ragkit.runbook.extras import needs_extra
from ragkit.runbook.inspection import Inspection
from ragkit.runbook.interrupt import show_interrupts_in_one_line
from ragkit.runbook.models.keys import keys_of
from ragkit.runbook.parameters import Parameters, notebook_parameters
from ragkit.runbook.tables.folders import table_folder

if TYPE_CHECKING:  # a third of the time that a command takes to start
    from ragkit.evaluation.evidence import Evidence
    from ragkit.evaluation.old_run import OldRun
    from ragkit.evaluation.questions import QuestionSet
    from ragkit.sandbox.sandbox import Sandbox

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """The model that answered, the line that asks the same, and the app's answer."""

    serving: str
    curl: str
    answer: str


@dataclass(frozen=True)
class Runbook:
    """Everything below is made when it is first used; `run_dir` is where files are written.
    `reviewed`: a plan that is only run as long as it fits."""

    plan: Plan
    run_dir: Path
    reviewed: ReviewedPlan | None = None

    @classmethod
    def from_notebook(cls, names: Mapping[str, Any], **steps: str) -> "Runbook":
        """From a notebook's globals(); `steps` maps the notebook's own parameters to the fields
        they set, as in retire="old.retire". Raises PlanError with all faults."""
        show_interrupts_in_one_line()
        logging.basicConfig(level=logging.WARNING, format="%(message)s")  # wordllama would set INFO
        return cls.of(notebook_parameters(names, steps))

    @classmethod
    def of(cls, parameters: Parameters) -> "Runbook":
        """Of one table, and its files are in the run folder itself. Raises PlanError with all
        faults, also where the file holds several and none is chosen, or ConfigError."""
        runbooks = cls.all_of(parameters)
        require_one([runbook.plan for runbook in runbooks])
        return replace(runbooks[0], run_dir=parameters.run_dir)

    @classmethod
    def all_of(cls, parameters: Parameters) -> list["Runbook"]:
        """One for each table of the file, or the chosen one. Where it holds several, each has a
        folder of its own in the run folder. Raises as `of`."""
        if parameters.params.suffix != SUFFIX:
            plans = load_plans(parameters.params, parameters.overrides)
            return [cls(plan, table_folder(parameters.run_dir, plan)) for plan in plans]
        chosen, others = split_choice(parameters.overrides)
        if others:
            raise ConfigError(f"{parameters.params.name} is reviewed: it takes no other values")
        return cls.reviewed_of(parameters.params, parameters.run_dir, chosen)

    @classmethod
    def reviewed_of(cls, path: Path, run_dir: Path, chosen: str = "") -> list["Runbook"]:
        """As all_of, from a file of `ragkit plan -o`."""
        reviewed = ReviewedPlan.load(path)
        plans = [one.plan for one in reviewed]
        kept = [choose(plans, chosen)] if chosen else plans
        return [
            cls(one.plan, table_folder(run_dir, one.plan), one)
            for one in reviewed
            if one.plan in kept
        ]

    @cached_property
    def sandbox(self) -> "Sandbox":
        """Raises ConfigError when the plan's database is another one."""
        if self.plan.database.url != "sandbox":
            raise ConfigError(f"database.url is {self.plan.database.url!r}: there is no sandbox")
        with needs_extra("sandbox"):
            from ragkit.sandbox.sandbox import Sandbox
        port = os.environ.get("RAGKIT_PORT") or str(self.plan.app.port)
        if not port.isdecimal():
            raise ConfigError(f"RAGKIT_PORT must be a port number, got {port!r}")
        return Sandbox(int(port))

    @cached_property
    def engine(self) -> sa.Engine:
        match self.plan.database.url:
            case "sandbox":
                return self.sandbox.engine()
            case "env":
                return engine_from_env(os.environ, session_name())
            case url:
                return engine_from_env({**os.environ, "DATABASE_URL": url}, session_name())

    @cached_property
    def migration(self) -> Migration:
        migration = Migration.open(self.plan, self.engine)
        if self.reviewed:
            self.reviewed.require_no_drift(migration)
        return migration

    @cached_property
    def app(self) -> App:
        match self.plan.app.target:
            case "cloud":
                deployment = deployment_from(self.plan, self.smoke_question, os.environ)
                return CloudApp(deployment, self.canary_questions, self.canary)
            case "local":
                return self.sandbox.app
            case _:
                return own_app(self.migration, self._recogniser)

    @cached_property
    def canary(self) -> CanaryReports:
        """Is told what a canary sees, and tells it on."""
        return CanaryReports(self.migration)

    def canary_questions(self) -> list[str]:
        """Raises ConfigError or DatabaseError."""
        from ragkit.runbook.questions import probe_questions

        return probe_questions(self.migration)

    @property
    def _recogniser(self) -> Recogniser:
        return Recogniser(self.migration, lambda: self.old_embedder, lambda: self.new_embedder)

    @cached_property
    def smoke_question(self) -> str:
        """The plan's; else the label of one row of the table."""
        if self.plan.app.smoke_question:
            return self.plan.app.smoke_question
        label = self.migration.sample(self.migration.label, limit=1)
        label = label.where(self.migration.label.is_not(None))
        with translate_errors("choosing a smoke question"), self.engine.connect() as connection:
            return connection.scalar(label) or PROBE_TEXT

    @property
    def probe_log(self) -> Path:
        """Of a probe that runs beside this run, if there is one."""
        return self.run_dir / "probe.jsonl"

    @cached_property
    def old_embedder(self) -> Embedder:
        return self._load(self.plan.old)

    @cached_property
    def new_embedder(self) -> Embedder:
        return self._load(self.plan.new)

    def _load(self, side: ColumnSection) -> Embedder:
        return load_embedder(side.model, self.plan.facts, keys_of(self.plan, os.environ, side))

    def old_embedder_or_none(self) -> Embedder | None:
        """The old model, if it can still be called: one text shows it. Missing credentials or a
        plug-in that is gone stop nothing that does not need it."""
        try:
            self.old_embedder.embed_query(PROBE_TEXT)
            return self.old_embedder
        except (ConfigError, ModelError) as error:
            log.warning("the old model cannot be called: %s", error)
            return None

    @cached_property
    def questions(self) -> "QuestionSet | None":
        """None when the plan names none. Raises ConfigError."""
        from ragkit.runbook.questions import load_questions

        return load_questions(self.migration)

    def check_questions(self) -> str:
        """One line about the questions, before anything is embedded. Raises ConfigError."""
        from ragkit.runbook.questions import check_questions

        return check_questions(self.migration)

    def check_long_texts(self) -> str:
        """One line about texts that the new model does not take whole, before any is paid for."""
        lengths = pending_lengths(self.migration, self.new_embedder)
        return f"long texts: {lengths.describe(self.plan.new.long_texts)}"

    @cached_property
    def old_run(self) -> "OldRun | None":
        """What the old model answered, by the plan's file. Raises ConfigError."""
        from ragkit.evaluation.old_run import read_old_run

        name = self.plan.evaluation.old_run
        return read_old_run(file_path(name)) if name else None

    def evidence(self) -> "Evidence":
        """Everything that can be found out about the two columns. Without questions, or without
        lists of the old model, only stored vectors are compared."""
        from ragkit.evaluation.comparison import compare
        from ragkit.evaluation.evidence import collect_evidence

        old = self.old_run or self.old_embedder_or_none()
        comparison = None
        if self.questions and old is not None:
            comparison = compare(self.migration, self.questions, old, self.new_embedder)
        return collect_evidence(self.migration, comparison, old is not None)

    def decide(self, evidence: "Evidence") -> Verdict:
        """As gates.decide, with the old model if it can still be called."""
        from ragkit.evaluation.gates import decide

        return decide(self.migration, evidence, self.old_embedder_or_none(), self.new_embedder)

    @cached_property
    def inspection(self) -> Inspection:
        """What there is, and everything that will happen."""
        is_deployed = self.plan.app.target in ("cloud", "local")
        return Inspection(
            self.migration, self.new_embedder, self.old_embedder_or_none(),
            None if is_deployed else lambda: self.app,
        )  # fmt: skip

    def status(self) -> Status:
        migration = self.migration  # its own faults are not the app's
        try:
            serving = self.app.serving()
        except (ConfigError, DeployError) as error:
            log.warning("the app cannot be reached: %s", error)
            serving = None
        return read_status(migration, serving.model if serving else None)

    def ask(self) -> Answer:
        """Asks the smoke question of the app as it serves now. Raises DeployError."""
        question, serving = self.smoke_question, self.app.serving()
        if serving is None:
            raise DeployError(f"no app serves at {self.app.url!r}")
        answer = self.app.smoke_test(question, serving.model)
        return Answer(serving.model, self.app.curl(question), answer)

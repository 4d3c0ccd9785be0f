"""The steps of a rescue in their order, as the notebook and the command take them.

The app is switched as soon as full text serves; the bridge is fitted while it answers. Only where
full text alone is below the plan's limit the bridge comes first.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from ragkit.embedding.embedder import PROBE_TEXT
from ragkit.errors import ConfigError, PhaseError
from ragkit.evaluation.bridge.sample import grow_sample
from ragkit.evaluation.comparison import require_rows
from ragkit.evaluation.questions import QuestionSet
from ragkit.evaluation.rescued.gate import RescueGate
from ragkit.evaluation.rescued.quality import Quality, Step
from ragkit.evaluation.rescued.questions import choose_questions
from ragkit.evaluation.rescued.trial import Trial, ask_service
from ragkit.migration.cutover import TrafficSwitch
from ragkit.migration.phases import COMPLETE
from ragkit.migration.rescue.diagnosis import Diagnosis, diagnose
from ragkit.migration.rescue.service import Rescue, deploy_new_model, start_rescue
from ragkit.migration.rescue.service_log import DOWN, OLD, note_service
from ragkit.runbook.rescue.service import service_states
from ragkit.runbook.runbook import Runbook

log = logging.getLogger(__name__)
ASKED = 20
"""Questions of the trial."""
Report = Callable[[str], object]


@dataclass(frozen=True)
class BridgeStep:
    """`overlap` is that of held-out rows' neighbours, `quality` that of the candidates, both with
    their intervals. `refused` says why full text serves alone, "no" for a bridge that serves."""

    pairs: int
    bought: int
    foreign: int
    method: str
    overlap: str
    quality: str
    refused: str
    ended: str


@dataclass
class RescueRun:
    """Each step may be taken again. `seconds` is the time from the beginning to the first right
    answer of the new model; None before. `curve` is that of the last fit."""

    runbook: Runbook
    began: float = field(default_factory=time.monotonic)
    diagnosis: Diagnosis | None = None
    curve: list[Step] = field(default_factory=list)
    seconds: float | None = None
    trial: Trial | None = None
    anyway: bool = False

    def diagnose(self) -> Diagnosis:
        """Raises PhaseError when the app still answers, and the plan does not say `anyway`, or the
        column is filled: then a verdict decides. Raises ModelError when the new model does not
        answer."""
        runbook = self.runbook
        self.diagnosis = diagnose(
            lambda: runbook.old_embedder, runbook.new_embedder, runbook.app, runbook.smoke_question
        )
        old = runbook.plan.old.model
        may_switch = self.anyway or runbook.plan.rescue.anyway
        is_filled = runbook.migration.phase() in COMPLETE
        answers = self.diagnosis.serving == old and self.diagnosis.app_answers
        if answers and is_filled:
            raise PhaseError(
                f"there is nothing to rescue: the app answers by {old}, and the new column is "
                "filled. Compare both, and cut over (ragkit compare, ragkit cutover)"
            )
        if answers and not may_switch:
            raise PhaseError(
                f"there is nothing to rescue: the app answers by {old}. Fill the new column beside "
                "it (ragkit backfill), or set rescue.anyway: true to switch now all the same"
            )
        return self.diagnosis

    def start(self, report: Report = lambda text: None) -> Rescue:
        """Column, full text and contract; with a bridge only where full text is not enough."""
        rescue = self._start(keep_bridge=self.runbook.plan.rescue.pairs > 0)
        if self.diagnosis and self.diagnosis.serving != self.runbook.plan.new.model:
            before = OLD if self.diagnosis.app_answers else DOWN
            note_service(self.runbook.migration, before, time.monotonic() - self.began)
        if rescue.refused != "no" and self.fit(report):
            rescue = self._start(keep_bridge=True)
        return rescue

    def outlook(self) -> str:
        """How good the answers can be, in a sentence."""
        if self.runbook.migration.phase() in COMPLETE:
            return "the new column is filled, and answers by itself once its index is there"
        if self.quality is None:
            return "how good the answers are is not known: there is no question that tells"
        return f"the answers can reach {self.quality}"

    def deploy(self) -> TrafficSwitch:
        """Raises GateError when the rescue was refused, or DeployError."""
        runbook = self.runbook
        switch = deploy_new_model(runbook.migration, runbook.app, runbook.smoke_question)
        if self.seconds is None:
            self.seconds = round(time.monotonic() - self.began, 2)
        service_states(runbook)
        return switch

    def fit(self, report: Report = lambda text: None) -> list[Step]:
        """The bridge, while the app answers already; [] where the plan asks for none."""
        runbook, pairs = self.runbook, self.runbook.plan.rescue.pairs
        self.curve = []
        if not pairs:
            return self.curve
        for fitting in grow_sample(runbook.migration, runbook.new_embedder, pairs):
            self.curve.append(Step(fitting, self._gate.measure(fitting.bridge)))
            report(f"fitting the bridge into the old column: {fitting.result.pairs:,} pairs")
        if self._start(self.curve[-1]).refused != "no":
            self._start()  # a bridge turns off nothing that full text alone may serve
        return self.curve

    def bridges(self) -> list[BridgeStep]:
        """The steps of the last fit, the one that serves last."""
        return [
            BridgeStep(
                step.fitting.result.pairs, step.fitting.bought, step.fitting.result.foreign,
                step.fitting.result.method or "none", str(step.fitting.result.overlap or "none"),
                str(step.quality.best) if step.quality else "none",
                step.fitting.result.refused or "no", step.fitting.ended,
            )
            for step in self.curve
        ]  # fmt: skip

    def ask(self) -> Trial:
        """Some questions, through the search that serves. Raises SpaceNotReady without a rescue."""
        runbook = self.runbook
        self.trial = ask_service(runbook.migration, runbook.new_embedder, self._questions_to_ask())
        return self.trial

    @property
    def quality(self) -> Quality | None:
        """That of the candidates as they are served; None where no question tells."""
        return self._gate.quality

    def _start(self, step: Step | None = None, keep_bridge: bool = False) -> Rescue:
        """With the bridge of a step, one that is there already, or by full text alone."""
        runbook, bridge = self.runbook, step.fitting.bridge if step else None
        return start_rescue(
            runbook.migration, runbook.new_embedder, bridge, keep_bridge, self._gate.judge
        )

    @cached_property
    def _gate(self) -> RescueGate:
        runbook = self.runbook
        return RescueGate(runbook.migration, lambda: self._questions, runbook.new_embedder)

    @cached_property
    def _questions(self) -> QuestionSet:
        return choose_questions(self.runbook.migration, self._own_questions)

    @cached_property
    def _own_questions(self) -> QuestionSet | None:
        """The plan's, if they can be used: they are no reason to leave an app down."""
        try:
            questions = self.runbook.questions
            return require_rows(self.runbook.migration, questions) if questions else None
        except ConfigError as error:
            log.warning("the questions of the plan are not used: %s", error)
            return None

    def _questions_to_ask(self) -> QuestionSet:
        """Those of the plan, judged or not; else words of rows, or the smoke question."""
        asked = self._questions
        if asked.is_proxy and self._own_questions:
            asked = self._own_questions
        texts = dict(list(asked.texts.items())[:ASKED])
        texts = texts or {"smoke": self.runbook.smoke_question or PROBE_TEXT}
        return QuestionSet(texts, asked.qrels, is_proxy=asked.is_proxy)

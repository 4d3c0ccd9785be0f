"""The gate of a rescue: whether its answers can be good enough, before they are served."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ragkit.embedding.embedder import Embedder
from ragkit.evaluation.questions import QuestionSet
from ragkit.evaluation.rescued.quality import Quality, QualityTrial
from ragkit.migration.migration import Migration
from ragkit.retrieval.rescue.candidates.bridge import Bridge
from ragkit.retrieval.rescue.plan import RescuePlan


@dataclass
class RescueGate:
    """`quality` is the last one that was judged; None where no question tells.
    `embedder` is the new model's; `questions` is called at the first judgement, when the new column
    is there."""

    migration: Migration
    questions: Callable[[], QuestionSet]
    embedder: Embedder
    quality: Quality | None = None
    trial: QualityTrial | None = field(default=None, repr=False)

    def judge(self, plan: RescuePlan, bridge: Bridge | None) -> str:
        """Why this may not serve, "" when it may: by the migration's `rescue.min_quality`. Raises
        ModelError or DatabaseError."""
        if self.trial is None:
            self.trial = QualityTrial(self.migration, plan, self.questions())
        self.quality = self.trial.measure(bridge, self.embedder) or self.quality
        return refuse(self.quality, self.migration.plan.rescue.min_quality)

    def measure(self, bridge: Bridge | None) -> Quality | None:
        """After the first judgement. Raises ModelError or DatabaseError."""
        return self.trial.measure(bridge, self.embedder) if self.trial else None


def refuse(quality: Quality | None, limit: float) -> str:
    """Why such candidates may not serve, "" when they may: the whole interval is below `limit`."""
    if quality is None or quality.best.high >= limit:
        return ""
    return f"the rescued search can reach {quality}: below its limit of {limit:g}"

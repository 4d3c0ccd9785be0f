"""What the index takes from the quality of a model: its own ranked lists against exact search."""

from dataclasses import dataclass

from ragkit.evaluation.metrics import trec
from ragkit.evaluation.metrics.bootstrap import Interval, bootstrap_interval
from ragkit.evaluation.metrics.trec import Qrels
from ragkit.evaluation.runs import RetrievalRun


@dataclass(frozen=True)
class IndexLoss:
    """The mean `metric` of judged questions by exact search and as the app searches, with the
    interval of its change, question by question. `widened` questions were too slow to search
    exactly, and the index at its widest setting stands for that."""

    side: str
    setting: str
    metric: str
    exact: float
    served: float
    change: Interval
    widened: int


def index_losses(
    qrels: Qrels, old: RetrievalRun, new: RetrievalRun, k: int, seed: int
) -> list[IndexLoss]:
    """One for each column that has an index."""
    metric = trec.metric_names(k)[0]
    losses = []
    for side, run in (("old", old), ("new", new)):
        if run.served is run.exact:
            continue
        exact, served = (
            trec.score_questions(qrels, searched.rankings, k)[metric]
            for searched in (run.exact, run.served)
        )
        change = bootstrap_interval((served - exact).to_numpy(), seed)
        losses.append(
            IndexLoss(
                side, run.served.setting, metric, float(exact.mean()), float(served.mean()),
                change, run.widened,
            )
        )  # fmt: skip
    return losses

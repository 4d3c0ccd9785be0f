"""Which labels belong to which judgement: the blocks of `ragkit.sequential.corrected`.

The blocks follow from what the journal had before each judgement, and from nothing later. So there
is one test of all judgements, whenever labels were made, and whichever models were tried: a label
counts for the judgements after it.
"""

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256

from ragkit.evaluation.judging.record.agreement import agreement
from ragkit.evaluation.judging.record.lines import Label, Preference
from ragkit.evaluation.judging.record.standing import Judgements
from ragkit.sequential.betting import SequentialResult, sequential_test
from ragkit.sequential.corrected import Correction, block_difference, correct

OTHERS = 4
"""Questions of a block beside the judged one: they leave it a fifth of the noise of the model's own
answers. More would take questions away that people might judge."""
SPARE = 60
"""Labelled questions for each of the others: where few are left, blocks get smaller, and the last
judgements have none."""


@dataclass(frozen=True)
class ModelLabels:
    """`labels` are usable answers of `models`, `unusable` the others. `compared` questions have
    both a label and a judgement: `same` is the share of equal ones, `alpha` Krippendorff's.
    `blocks` judgements are corrected, and `share` is what the model has in the next one. `alone`
    is the test without any correction: it decides nothing."""

    models: list[str]
    labels: int
    unusable: int
    compared: int
    same: float | None
    alpha: float | None
    blocks: int
    share: float
    alone: SequentialResult


@dataclass(frozen=True)
class CorrectedJudgements:
    """`people`: the judgements that count, in order of time; `blocks` of them have a block. `used`:
    the questions whose label is in the block of another one; a judgement of them counts no more."""

    people: list[Preference]
    correction: Correction
    blocks: int
    used: set[str]

    @classmethod
    def of(cls, judgements: Judgements) -> "CorrectedJudgements":
        labels, state = iter(judgements.labels), _Labels()
        upcoming = next(labels, None)
        people, differences = [], []
        for preference in judgements.preferences:
            while upcoming and upcoming.at < preference.at:
                state.add(upcoming)
                upcoming = next(labels, None)
            if preference.question not in state.used:
                people.append(preference)
                differences.append(state.take_block(preference))
        apart, widest = zip(*differences, strict=True) if differences else ((), ())
        correction = correct([each.value for each in people], apart, widest)
        return cls(people, correction, sum(each > 0 for each in widest), state.used)

    def test(self, limit: float) -> SequentialResult:
        """Of the net preference for the new model."""
        values = [preference.value for preference in self.people]
        return sequential_test(values, limit, noise=self.correction.noise)


@dataclass
class _Labels:
    """What there is at one moment: usable labels by model, in an order that follows from nothing
    but the question; and the questions that are gone, into blocks or to people."""

    by_model: dict[str, dict[str, Label]] = field(default_factory=dict)
    newest: str = ""
    used: set[str] = field(default_factory=set)
    judged: set[str] = field(default_factory=set)

    def add(self, label: Label) -> None:
        self.newest = label.judge
        if label.is_usable:
            self.by_model.setdefault(label.judge, {})[label.question] = label

    def take_block(self, preference: Preference) -> tuple[float, float]:
        """By the model that was the newest at that time. Two lists that are the same need no
        model."""
        self.judged.add(preference.question)
        labels = self.by_model.get(self.newest, {})
        own = labels.get(preference.question)
        if own is None or not preference.asked:
            return 0.0, 0.0
        free = sorted(labels.keys() - self.used - self.judged, key=_place)
        others = free[: min(OTHERS, len(free) // SPARE)]
        self.used.update(others)
        return block_difference(own.value, [labels[question].value for question in others])


def tried(judgements: Judgements) -> set[str]:
    """Questions that a model was asked, whatever it answered. People get them first: only those
    with an answer would be others than what is asked at large."""
    return {label.question for label in judgements.labels}


def model_labels(judgements: Judgements, limit: float) -> ModelLabels | None:
    """None without labels."""
    labels = judgements.labels
    if not labels:
        return None
    usable = {label.question: label for label in labels if label.is_usable}
    both = [p for p in judgements.preferences if p.asked and p.question in usable]
    found = agreement([*both, *(usable[p.question] for p in both)])
    counts = Counter(label.is_usable for label in labels if label.asked)
    corrected = CorrectedJudgements.of(judgements)
    values = [preference.value for preference in judgements.preferences]
    return ModelLabels(
        models=sorted({label.judge for label in labels}),
        labels=counts[True],
        unusable=counts[False],
        compared=found.judged,
        same=found.same,
        alpha=found.alpha,
        blocks=corrected.blocks,
        share=float(corrected.correction.shares[-1]),
        alone=sequential_test(values, limit),
    )


@lru_cache(100_000)
def _place(question: str) -> bytes:
    return sha256(f"block {question}".encode()).digest()

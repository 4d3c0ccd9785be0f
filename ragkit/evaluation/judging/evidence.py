"""What people's judgements say, and the gates that they decide."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from ragkit.evaluation.judging.progress import precision
from ragkit.evaluation.judging.record.agreement import Agreement, agreement, one_key
from ragkit.evaluation.judging.record.lines import Preference, Relevance
from ragkit.evaluation.judging.record.standing import Judgements
from ragkit.migration.plan.steps import GatesSection
from ragkit.migration.verdict import Gate
from ragkit.sequential.betting import SequentialResult, sequential_test


@dataclass(frozen=True)
class JudgedByPeople:
    """Each test is None without such judgements: `preference` of the net preference for the new
    model, `precision` of the share of relevant rows among its first `rows`, `change` of that share
    against the old model's, where both lists were judged. `one_key` names judges who only ever
    pressed one key. `left_out` says which judgements do not count."""

    rows: int
    judges: int
    preference: SequentialResult | None
    precision: SequentialResult | None
    change: SequentialResult | None
    agreement: Agreement
    one_key: dict[str, str]
    left_out: str

    @property
    def compares(self) -> bool:
        """Whether people saw the lists of both models."""
        return self.preference is not None or self.change is not None

    def figures(self) -> dict[str, object]:
        """As plain data for JSON."""
        return asdict(self)


def judged_by_people(judgements: Judgements, limits: GatesSection, rows: int) -> JudgedByPeople:
    """`rows` of each list were judged."""
    pools = judgements.pools
    both = [pool for pool in pools if pool[-1].old is not None]
    changes = [precision(pool, rows) - precision(pool, rows, "old") for pool in both]
    preferences = [preference.value for preference in judgements.preferences]
    precisions = [precision(pool, rows) for pool in pools]
    answers = judgements.answers
    kind = Preference if preferences else Relevance
    return JudgedByPeople(
        rows=rows,
        judges=len({answer.judge for answer in answers}),
        preference=sequential_test(preferences, -limits.preference_margin) if preferences else None,
        precision=sequential_test(precisions, limits.precision_floor, (0.0, 1.0))
        if precisions
        else None,
        change=sequential_test(changes, -limits.preference_margin) if changes else None,
        agreement=agreement([answer for answer in answers if isinstance(answer, kind)]),
        one_key=one_key(answers),
        left_out=judgements.describe_left_out(),
    )


def people_gates(judged: JudgedByPeople) -> Iterator[Gate]:
    """One for each test; undecided while the limit lies within what the judgements leave open."""
    tests = (
        ("people's net preference", judged.preference, True),
        (f"precision@{judged.rows}, judged by people", judged.precision, False),
        (f"precision@{judged.rows} change, judged by people", judged.change, True),
    )
    for name, test, is_signed in tests:
        if test:
            yield Gate(name, _observed(test, is_signed), f"≥ {test.limit:g}", test.above)


def _observed(test: SequentialResult, is_signed: bool) -> str:
    sign = "+" if is_signed else ""
    mean, low, high = (f"{value:{sign}.2f}" for value in (test.mean, test.low, test.high))
    observed = f"{mean} ({low} to {high}), of {test.n} questions"
    if test.above is not None:
        return f"{observed}, decided after {test.decided_at}"
    more = f"about {test.more:,} more" if test.more else "more than can be asked"
    return f"{observed}; to decide takes {more}"

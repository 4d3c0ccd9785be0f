"""What the judgements show so far, whether that decides, and how many more it would take.

The test may be looked at after every judgement: see `ragkit.sequential.betting`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ragkit.evaluation.judging.record.lines import Relevance, Side
from ragkit.evaluation.judging.record.standing import Judgements
from ragkit.sequential.betting import SequentialResult, sequential_test


@dataclass(frozen=True)
class Progress:
    """`figure` and `outlook` are sentences. `bounds` are what the figure can be at all, and `ends`
    what they mean; `limit` is the limit as it is shown."""

    test: SequentialResult
    bounds: tuple[float, float]
    ends: tuple[str, str]
    limit: str
    figure: str
    outlook: str


def preference_progress(judgements: Judgements, margin: float, left: int) -> Progress:
    """The net preference for the new model: over all questions, 1 for the new one, -1 for the old
    one, 0 for equal or neither, against minus the margin. `left` questions are not judged yet."""
    values = [preference.value for preference in judgements.preferences]
    test, limit = sequential_test(values, -margin), _points(-margin)
    return Progress(
        test,
        (-1.0, 1.0),
        ("old model", "new model"),
        limit,
        _figure("Net preference for the new model", test, _points, " points"),
        _outlook(test, left, f"not worse than {limit} points", f"worse than {limit} points"),
    )


def precision_progress(judgements: Judgements, floor: float, rows: int, left: int) -> Progress:
    """The share of relevant rows among the first `rows` of the new model, against the floor."""
    values = [precision(pool, rows) for pool in judgements.pools]
    test = sequential_test(values, floor, (0.0, 1.0))
    return Progress(
        test,
        (0.0, 1.0),
        ("nothing relevant", "all relevant"),
        f"{floor:.2f}",
        _figure(f"Precision@{rows} of the new model", test, "{:.2f}".format),
        _outlook(test, left, f"at least {floor:.2f}", f"less than {floor:.2f}"),
    )


def precision(pool: list[Relevance], rows: int, side: Side = "new") -> float:
    """Of a model's list, from the answers to all rows of a question."""
    grades = {answer.row: answer.grade for answer in pool}
    shown = (pool[-1].new if side == "new" else pool[-1].old) or ()
    return sum(grades[row] for row in shown[:rows]) / rows


def _figure(
    name: str, test: SequentialResult, shown: Callable[[float], str], unit: str = ""
) -> str:
    if not test.n:
        return "No question is judged yet"
    mean, low, high = map(shown, (test.mean, test.low, test.high))
    return f"{name}: {mean}{unit} ({low} to {high}) over {_questions(test.n)}"


def _outlook(test: SequentialResult, left: int, above: str, below: str) -> str:
    if test.above is not None:
        decision = above if test.above else below
        return f"Decided after {_questions(test.decided_at or 0)}: {decision}. You may stop"
    if not test.n:
        return f"To decide: {above}?"
    if test.more is None:
        return "Not decided, and more answers like these would not decide"
    outlook = f"Not decided: about {_questions(test.more, 'more ')}, if they are like these"
    return outlook if test.more <= left else f"{outlook}; only {left:,} are left"


def _questions(count: int, kind: str = "") -> str:
    return f"{count:,} {kind}question{'' if count == 1 else 's'}"


def _points(share: float) -> str:
    """Of 100 questions, such as +12."""
    points = round(100 * share)
    return f"{points:+d}".replace("-", "−") if points else "0"

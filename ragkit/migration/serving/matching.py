"""How alike two ranked lists are, and what an app's answers say about the model behind them."""

from collections import Counter
from collections.abc import Mapping, Sequence

from ragkit.errors import AppNotRecognised

MIN_SHARE, MARGIN = 0.7, 0.2
"""Of a model's rows that the answers must hold on average, and how much more than the other's."""
CLEAR = 0.3
"""A question whose answer is so much nearer to the other model's was answered by the other one."""
SAME = 0.7
"""Where both models find more of the same rows than this, the order of the rows tells."""

Answers = Sequence[tuple[Sequence[str], Mapping[str, Sequence[str]]]]
"""For each question the app's rows, and as many rows of each model, best first."""


def decide(answers: Answers, models: tuple[str, str]) -> str:
    """The one of the models that made all the answers. Raises AppNotRecognised."""
    if not answers:
        raise AppNotRecognised("the app shows too few rows to tell the model: use app.target: none")
    scores = [_scores(answer, expected) for answer, expected in answers]
    known = [model for model in models if model in scores[0]]
    means = {model: sum(score[model] for score in scores) / len(scores) for model in known}
    best = max(known, key=lambda model: means[model])
    seen = ", ".join(f"{mean:.0%} of {model}'s rows" for model, mean in means.items())
    seen = f"the app's answers to {len(scores)} questions hold {seen}"
    if means[best] < MIN_SHARE:
        raise AppNotRecognised(
            f"{seen}: no model's; correct check.rows, check.field or check.matches"
        )
    for other in set(known) - {best}:
        by_other = sum(score[other] >= max(MIN_SHARE, score[best] + CLEAR) for score in scores)
        if by_other:
            raise AppNotRecognised(
                f"{seen}: {by_other} of the answers are {other}'s; not every process serves "
                f"{best} yet"
            )
        if means[best] < means[other] + MARGIN:
            raise AppNotRecognised(f"{seen}: too alike to tell the model")
    return best


def likeness(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """The mean, over every depth, of the share of rows that the first rows have in common: 1.0
    for equal lists, 0.0 for lists without a common row; 1.0 for two empty ones."""
    depth = max(len(ours), len(theirs))
    shares = [shared(ours[:d], theirs[:d], d) for d in range(1, depth + 1)]
    return sum(shares) / depth if depth else 1.0


def shared(ours: Sequence[str], theirs: Sequence[str], size: int) -> float:
    """The share of `size` rows that both have; one that stands twice counts twice."""
    return (Counter(ours) & Counter(theirs)).total() / size


def _scores(answer: Sequence[str], expected: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """By model. An app may order its rows in a way of its own, so their order counts only where
    both models find the same rows."""
    size, (first, *others) = len(answer), expected.values()
    if any(shared(first, other, size) > SAME for other in others):
        return {model: likeness(answer, rows) for model, rows in expected.items()}
    return {model: shared(answer, rows, size) for model, rows in expected.items()}

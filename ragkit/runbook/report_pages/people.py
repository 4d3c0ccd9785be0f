"""People's judgements in sentences."""

from typing import Any

from ragkit.evaluation.judging.evidence import JudgedByPeople
from ragkit.report.show import note


def judged(people: JudgedByPeople | None) -> None:
    """What they said, and how far that can be trusted; nothing without judgements."""
    if people:
        note(" ".join(people_sentences(people.figures())))


def people_sentences(people: dict[str, Any] | None) -> list[str]:
    """Of the figures of a verdict; [] without judgements."""
    if not people:
        return []
    who = "One person" if people["judges"] == 1 else f"{people['judges']} people"
    sentences = []
    if test := people["preference"]:
        sentences.append(
            f"{who} judged {test['n']:,} questions side by side, blind: net, the new model is "
            f"preferred for {100 * test['mean']:+.0f} of 100 ({_interval(test, '+.0f')})."
        )
    if test := people["precision"]:
        sentences.append(
            f"{who} judged the rows of {test['n']:,} questions: of the new model's first "
            f"{people['rows']}, {100 * test['mean']:.0f} % are relevant ({_interval(test, '.0f')})."
        )
    agreement = people["agreement"]
    if agreement["judged"]:
        alpha = agreement["alpha"]
        corrected = "" if alpha is None else f", Krippendorff's alpha {alpha:.2f}"
        sentences.append(
            f"Where two or more judged the same ({agreement['judged']}), "
            f"{100 * agreement['same']:.0f} % of their answers are alike{corrected}."
        )
    sentences += [
        f"{judge} only ever answered “{key}”: that tells little."
        for judge, key in people["one_key"].items()
    ]
    if people["left_out"]:
        sentences.append(f"Judgements {people['left_out']}.")
    return sentences


def _interval(test: dict[str, Any], form: str) -> str:
    low, high = (f"{100 * test[end]:{form}}" for end in ("low", "high"))
    return f"{low} to {high}, at whatever look"

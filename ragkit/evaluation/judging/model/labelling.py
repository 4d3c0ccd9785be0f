"""A model labels the questions of a session, in random order, until its budget is spent.

Each label is in the journal before the next question: a run that was killed goes on where it was,
and nothing is paid twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from ragkit.errors import ConfigError, ModelUnavailable
from ragkit.evaluation.judging import chance
from ragkit.evaluation.judging.lists import Lists, Row
from ragkit.evaluation.judging.model.judge import JudgeModel
from ragkit.evaluation.judging.record.journal import append, judge_file
from ragkit.evaluation.judging.record.lines import PAIR_ANSWERS, Label
from ragkit.evaluation.judging.session import AHEAD, Session

FIRST = 10
"""Answers after which most must have been usable."""


@dataclass(frozen=True)
class Labelled:
    """Of `questions` in all, earlier runs included: `labels` are usable, of `unusable` the model
    said nothing that can be read, and of the others both lists are the same."""

    questions: int
    labels: int
    unusable: int


def label_questions(session: Session, model: JudgeModel, most: int) -> Iterator[Labelled]:
    """Up to `most` questions in all, in the order of a draw of the model's own; gives how far it
    is, first as it was before. Raises ModelUnavailable when most answers are unusable, ModelError,
    DatabaseError or ConfigError."""
    judge_file(session.settings.folder, model.name)  # a name that is none is told before it costs
    if session.settings.pooled:
        raise ConfigError("a model labels two lists side by side: the old model's are needed too")
    view = session.view()
    earlier = [label for label in view.judgements.labels if label.judge == model.name]
    done = {label.question for label in earlier}
    drawn = chance.draw(tuple(view.texts), session.settings.seed, model.name)
    open_texts = {name: view.texts[name] for name in drawn if name not in done}
    labels = sum(label.is_usable for label in earlier)
    unusable = sum(label.answer == "none" for label in earlier)
    yield Labelled(len(done), labels, unusable)
    new_labels = new_unusable = 0
    todo = dict(islice(open_texts.items(), max(0, most - len(done))))
    for place, (question, text) in enumerate(todo.items()):
        session.lists.prepare(dict(islice(todo.items(), place, place + 1 + AHEAD)))
        label = _label(session, model, question, text, session.lists.take(question, text))
        append(session.settings.folder, label)
        new_labels += label.is_usable
        new_unusable += label.answer == "none"
        yield Labelled(len(done) + place + 1, labels + new_labels, unusable + new_unusable)
        if new_unusable > new_labels and new_labels + new_unusable >= FIRST:
            raise ModelUnavailable(
                f"{model.name} gave nothing usable for {new_unusable} of "
                f"{new_labels + new_unusable} questions: expected one of "
                f"{', '.join(PAIR_ANSWERS)}; choose another judging.model"
            )


def _label(session: Session, model: JudgeModel, question: str, text: str, lists: Lists) -> Label:
    """Lists that are the same are equal, and cost nothing."""
    left = chance.left_side(question, session.settings.seed, model.name)
    sides = [_texts(lists.old or []), _texts(lists.new)]
    asked = not lists.are_same
    said = model.judge(text, *(sides if left == "old" else sides[::-1])) if asked else "equal"
    return Label.model_validate({
        **session.scope.model_dump(), "at": datetime.now(UTC), "judge": model.name,
        "question": question, "text": text, "asked": asked, "left": left,
        "old": [row.key for row in lists.old or []], "new": [row.key for row in lists.new],
        "answer": said if said in PAIR_ANSWERS else "none",
    })  # fmt: skip


def _texts(rows: list[Row]) -> list[str]:
    return [": ".join(dict.fromkeys(part for part in row.shown if part)) for row in rows]

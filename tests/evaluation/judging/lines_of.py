"""Lines as judges leave them, in short."""

from datetime import UTC, datetime, timedelta

from ragkit.evaluation.judging.record.lines import Preference, Relevance, Scope, Typed, Undo

SCOPE = Scope(
    table="public.amenities", old_model="a", old_column="embedding", new_model="b",
    new_column="embedding_b",
)  # fmt: skip
START = datetime(2026, 11, 1, tzinfo=UTC)


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def _common(question: str, second: float, judge: str, scope: Scope) -> dict:
    return {
        **scope.model_dump(), "at": at(second), "judge": judge, "question": question,
        "text": f"text of {question}",
    }  # fmt: skip


def preference(
    question="q1", answer="left", second=0.0, judge="ana", left="new", scope=SCOPE, **more
) -> Preference:
    lists = {"old": ("1", "2"), "new": ("3", "2")}
    return Preference(
        **_common(question, second, judge, scope), **(lists | more), answer=answer, left=left
    )


def relevance(
    question="q1", row="1", answer="relevant", second=0.0, judge="ana", scope=SCOPE, **more
) -> Relevance:
    lists = {"old": ("1", "2"), "new": ("3", "2")}
    return Relevance(
        **_common(question, second, judge, scope), **(lists | more), answer=answer, row=row
    )


def pool(question="q1", relevant=("1", "2", "3"), second=0.0, **more) -> list[Relevance]:
    """All three rows of a question."""
    return [
        relevance(question, row, "relevant" if row in relevant else "not", second + n, **more)
        for n, row in enumerate(("1", "2", "3"))
    ]


def undo(question="q1", row=None, second=0.0, judge="ana", scope=SCOPE) -> Undo:
    values = _common(question, second, judge, scope)
    return Undo(**{name: v for name, v in values.items() if name != "text"}, row=row)


def typed(text: str, second=0.0, judge="ana", scope=SCOPE) -> Typed:
    return Typed(**scope.model_dump(), at=at(second), judge=judge, text=text)

"""What is written down of a judgement: one JSON object a line.

A line has the key that was pressed and which list stood on which side; only here it is resolved
what the key means.
"""

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from ragkit.migration.migration import Migration

Side = Literal["old", "new"]
PAIR_ANSWERS = ("left", "right", "equal", "neither")
ROW_ANSWERS = ("relevant", "not")


class Scope(BaseModel):
    """What a judgement is about: a table, and the two models with their columns."""

    model_config = ConfigDict(frozen=True)

    table: str
    old_model: str
    old_column: str
    new_model: str
    new_column: str

    @classmethod
    def of(cls, migration: Migration) -> Self:
        plan = migration.plan
        return cls(
            table=plan.table.qualified_name,
            old_model=plan.old.model, old_column=plan.old.column,
            new_model=plan.new.model, new_column=plan.new.column,
        )  # fmt: skip


class Line(Scope):
    """`at` is in UTC. A line that is not known here is no line."""

    at: AwareDatetime
    judge: str = Field(min_length=1)

    @property
    def scope(self) -> Scope:
        return Scope.model_construct(**{name: getattr(self, name) for name in Scope.model_fields})


class Typed(Line):
    """A question that a judge typed in."""

    kind: Literal["typed"] = "typed"
    text: str = Field(min_length=1)


class Judged(Line):
    """`question` is its id. `old` and `new` are the keys of the rows of each list, best first;
    `old` is None where the old model has none. `asked` is False where nobody needed to say it: both
    lists show the same rows in the same order, or none."""

    question: str
    text: str
    old: tuple[str, ...] | None
    new: tuple[str, ...]
    asked: bool = True

    @property
    def rows(self) -> set[str]:
        return {*(self.old or ()), *self.new}


class Preference(Judged):
    """Two lists side by side."""

    kind: Literal["preference"] = "preference"
    left: Side
    answer: Literal["left", "right", "equal", "neither"]

    @property
    def preferred(self) -> Side | None:
        """None where neither list is better than the other."""
        if self.answer not in ("left", "right"):
            return None
        other: Side = "new" if self.left == "old" else "old"
        return self.left if self.answer == "left" else other

    @property
    def value(self) -> float:
        """1 for the new model, -1 for the old one, else 0."""
        return {"new": 1.0, "old": -1.0, None: 0.0}[self.preferred]


class Relevance(Judged):
    """One row of the two lists together; `row` is empty where they have none."""

    kind: Literal["relevance"] = "relevance"
    row: str
    answer: Literal["relevant", "not"]

    @property
    def grade(self) -> int:
        return int(self.answer == "relevant")


class Undo(Line):
    """Takes this judge's answer back: to the question, or to one row of it."""

    kind: Literal["undo"] = "undo"
    question: str
    row: str | None = None


AnyLine = Annotated[Typed | Preference | Relevance | Undo, Field(discriminator="kind")]
READER: TypeAdapter[Typed | Preference | Relevance | Undo] = TypeAdapter(AnyLine)
"""Of one line. Raises ValueError."""

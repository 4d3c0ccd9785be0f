"""One thing that a judge is asked, and the line that an answer makes of it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ragkit.errors import ConfigError
from ragkit.evaluation.judging import chance
from ragkit.evaluation.judging.lists import Lists, Row
from ragkit.evaluation.judging.record.lines import (
    PAIR_ANSWERS,
    ROW_ANSWERS,
    Preference,
    Relevance,
    Scope,
    Side,
)


@dataclass(frozen=True)
class Turn:
    """`row` is None for two lists side by side. Neither `id` nor `shown` tells which list is the
    new model's."""

    scope: Scope
    judge: str
    seed: int
    question: str
    text: str
    lists: Lists
    row: Row | None = None

    @property
    def id(self) -> str:
        place = "" if self.row is None else f" {self._pool.index(self.row) + 1}"
        return f"{self.question}{place}"

    @property
    def answers(self) -> tuple[str, ...]:
        return PAIR_ANSWERS if self.row is None else ROW_ANSWERS

    @property
    def _pool(self) -> list[Row]:
        return chance.shuffled(self.lists.pool, self.question, self.seed, self.judge)

    @property
    def _left(self) -> Side:
        return chance.left_side(self.question, self.seed, self.judge)

    def shown(self) -> dict[str, Any]:
        """What a judge sees, as JSON."""
        if self.row is not None:
            pool = self._pool
            place = f"{pool.index(self.row) + 1} of {len(pool)}"
            return {"question": self.text, "row": _shown(self.row), "place": place}
        sides = [self.lists.old or [], self.lists.new]
        left, right = sides if self._left == "old" else sides[::-1]
        return {
            "question": self.text,
            "left": [_shown(row, right) for row in left],
            "right": [_shown(row, left) for row in right],
        }

    def line(self, answer: str, *, asked: bool = True) -> Preference | Relevance:
        """Raises ConfigError for another answer than one of `answers`."""
        if answer not in self.answers:
            raise ConfigError(f"expected one of {', '.join(self.answers)}, got {answer!r}")
        values = {
            **self.scope.model_dump(), "at": datetime.now(UTC), "judge": self.judge,
            "question": self.question, "text": self.text, "answer": answer, "asked": asked,
            "old": None if self.lists.old is None else [row.key for row in self.lists.old],
            "new": [row.key for row in self.lists.new],
        }  # fmt: skip
        if self.row is None:
            return Preference.model_validate({**values, "left": self._left})
        return Relevance.model_validate({**values, "row": self.row.key})


def _shown(row: Row, others: list[Row] | None = None) -> dict[str, Any]:
    """`both`: the other list has it too."""
    both = row.shown in [other.shown for other in others or ()]
    return {"label": row.label, "text": row.text, "both": both}

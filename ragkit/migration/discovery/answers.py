"""What a person knows about a table, and how the rest is asked."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ragkit.errors import ConfigError


@dataclass(frozen=True)
class Question:
    """`name` is the option that answers it. `choices` are all possible answers, [] for any text.
    `default` is None where only a person can tell; else what holds when nobody is asked."""

    name: str
    text: str
    choices: list[str] = field(default_factory=list)
    default: str | None = None


Ask = Callable[[Question], str]


@dataclass(frozen=True)
class Answers:
    """What is known before, "" where it is not. `table` may be "schema.table"."""

    table: str = ""
    column: str = ""
    key: str = ""
    content: str = ""
    where: str = ""
    label: str = ""
    category: str = ""
    distance: str = ""
    old_model: str = ""
    new_model: str = ""
    new_column: str = ""
    app_url: str = ""


def answer_nothing(question: Question) -> str:
    """For where nobody can be asked. Raises ConfigError when there is no default."""
    if question.default is not None:
        return question.default
    choices = f"; one of: {', '.join(question.choices)}" if question.choices else ""
    raise ConfigError(f"--{question.name} is needed: {question.text}{choices}")

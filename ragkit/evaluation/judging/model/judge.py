"""A model that says which of two lists is better: a function, or a service with OpenAI's API."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ragkit.deadline import call_within
from ragkit.embedding.importing import import_attribute
from ragkit.errors import ConfigError, ModelBusy, ModelUnavailable
from ragkit.evaluation.judging.model.chat import OPENAI, ChatModel
from ragkit.migration.plan.judging import JudgingSection

CALL_SECONDS = 120.0


class JudgeModel(Protocol):
    """What labels."""

    @property
    def name(self) -> str:
        """As it stands in the journal."""
        ...

    def judge(self, question: str, left: Sequence[str], right: Sequence[str]) -> str | None:
        """ "left", "right", "equal" or "neither"; anything else is no label. `left` and `right` are
        the texts of rows, best first. Raises ModelError."""
        ...


@dataclass(frozen=True)
class FunctionModel:
    """A function (question, left, right) of somebody else."""

    name: str
    function: Callable[[str, list[str], list[str]], Any]

    def judge(self, question: str, left: Sequence[str], right: Sequence[str]) -> str | None:
        try:
            said: object = call_within(
                CALL_SECONDS, self.function, question, list(left), list(right)
            )
        except TimeoutError:
            raise ModelBusy(f"{self.name}: no answer within {CALL_SECONDS:g} s") from None
        except Exception as error:  # its text is left out: it may hold a key
            raise ModelUnavailable(f"{self.name} failed: {type(error).__name__}") from None
        return said if isinstance(said, str) else None


def load_judge(section: JudgingSection) -> JudgeModel:
    """Raises ConfigError."""
    name = section.model
    if not name:
        raise ConfigError(
            "judging.model names no model: expected openai:NAME or module:attribute of a function"
        )
    if name.startswith(OPENAI):
        return ChatModel.of(name, section.model_url)
    function = import_attribute(name)
    if not callable(function):
        raise ConfigError(f"judging.model: expected a function of two lists, got {name!r}")
    return FunctionModel(name, function)

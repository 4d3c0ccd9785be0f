"""The questions that people judge: of a log, of a file, or typed in; each of them once.

Nothing but the questions is kept of a log, and they pass the hook `judging.redact` before anything
else sees them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256

from ragkit.embedding.importing import import_attribute
from ragkit.errors import ConfigError

Redact = Callable[[str], str]
LOG = "log-"
"""Start of the ids that `read_questions` gives the questions of a log."""


@dataclass(frozen=True)
class Questions:
    """`texts` by id. `emptied` counts the questions of which the hook left nothing. Those of a log
    of the old model's answers are `closed`: no other question has its lists."""

    texts: dict[str, str]
    emptied: int = 0
    closed: bool = False

    @classmethod
    def of(cls, texts: dict[str, str], redact: Redact = str, closed: bool = False) -> "Questions":
        """`texts` by the ids of a file. Those of a log, which start with "log-", change when the
        log grows: its questions get ids from their texts. Raises ConfigError when the hook fails.
        """
        ids: dict[str, str] = {}
        cleaned = {name: _redacted(redact, text) for name, text in texts.items()}
        for name, text in cleaned.items():
            if text:
                ids.setdefault(text, id_of(text) if name.startswith(LOG) else name)
        emptied = list(cleaned.values()).count("")
        return cls({name: text for text, name in ids.items()}, emptied, closed)

    def with_typed(self, typed: Iterable[str]) -> dict[str, str]:
        """The texts with those that judges typed in. They pass no hook: who judges wrote them."""
        if self.closed:
            return self.texts
        known = set(self.texts.values())
        return self.texts | {id_of(text): text for text in typed if text not in known}


def id_of(text: str) -> str:
    """Of a question that has none."""
    return "q-" + sha256(text.encode()).hexdigest()[:12]


def typed_lines(text: str) -> list[str]:
    """The questions in what was typed in: one a line, without blank ones."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return [line for line in dict.fromkeys(lines) if line]


def load_redact(name: str) -> Redact:
    """The hook behind `module:attribute`, text to text; `str` without one. Raises ConfigError."""
    if not name:
        return str
    hook = import_attribute(name)
    if not callable(hook):
        raise ConfigError(f"judging.redact: expected a function of a text, got {name!r}")
    checked: Redact = hook
    return checked


def _redacted(redact: Redact, text: str) -> str:
    """Without an error's own text, which may hold what was to be removed."""
    try:
        cleaned: object = redact(text)
    except Exception as error:  # a hook may raise anything
        raise ConfigError(f"judging.redact failed on a question: {type(error).__name__}") from None
    if not isinstance(cleaned, str):
        kind = type(cleaned).__name__
        raise ConfigError(f"judging.redact: expected a text for each question, got {kind}")
    return cleaned.strip()

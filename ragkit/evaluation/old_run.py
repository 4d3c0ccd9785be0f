"""What the old model answered, from a file: for a model that cannot be asked any more.

A TREC run has six columns, `question Q0 row rank score tag`. JSON lines are {"text": …, "rows":
[…]}, as an app's log has them, or {"_id": …, "rows": […]}; rows are keys of the table, best first.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ragkit.errors import ConfigError
from ragkit.evaluation.index.settings import EXACT
from ragkit.evaluation.metrics.trec import Rankings
from ragkit.evaluation.questions import QuestionSet, read_lines
from ragkit.evaluation.runs import RetrievalRun, Searched

AS_LOGGED = "as logged"
"""Of a model whose lists are those of a file."""


@dataclass(frozen=True)
class OldRun:
    """Ranked rows by question: its id or its text. `texts` are the questions that the file names
    by their texts."""

    rankings: Rankings
    texts: list[str]

    def find(self, question: str, text: str) -> list[str] | None:
        """The rows for a question by its id and its text; None where the file has no list."""
        return self.rankings.get(question, self.rankings.get(text))

    def redacted(self, redact: Callable[[str], str]) -> "OldRun":
        """With its texts as they are after a hook; `rankings` by an id keep theirs."""
        after = {text: redact(text).strip() for text in self.texts}
        rankings = {after.get(name, name): rows for name, rows in self.rankings.items()}
        return OldRun(rankings, list(dict.fromkeys(after.values())))

    def listed(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Those of the questions, texts by id, that have a list. Raises ConfigError for none."""
        found = {q: text for q, text in texts.items() if self.find(q, text) is not None}
        if not found:
            raise ConfigError(
                f"evaluation.old_run has lists of {len(self.rankings)} questions, and none of "
                f"those of evaluation.questions, such as {next(iter(texts.values()), '')!r}"
            )
        return found


def read_old_run(path: Path) -> OldRun:
    """The last of several lists of one question counts. Raises ConfigError with the file, the line
    and what was expected."""
    lines = read_lines(path)
    if not lines:
        raise ConfigError(f"{path.name} has no list")
    if not lines[0][1].lstrip().startswith("{"):
        return OldRun(_read_trec(path.name, lines), [])
    entries = [_read_json(path.name, number, line) for number, line in lines]
    texts = [name for name, is_text, _ in entries if is_text]
    return OldRun({name: rows for name, _, rows in entries}, list(dict.fromkeys(texts)))


def run_of(
    old: OldRun, model: str, questions: QuestionSet, k: int
) -> tuple[RetrievalRun, QuestionSet]:
    """The run of the questions that have a list, and these questions. It has no distances and no
    times. Raises ConfigError when none has one."""
    texts = old.listed(questions.texts)
    lists = {question: (old.find(question, text) or [])[:k] for question, text in texts.items()}
    asked = replace(
        questions,
        texts=texts,
        qrels={q: grades for q, grades in questions.qrels.items() if q in lists},
    )
    searched = Searched(EXACT, lists, {}, np.array([]))
    return RetrievalRun(f"{model}, {AS_LOGGED}", {}, np.array([]), searched, searched), asked


def _read_json(name: str, number: int, line: str) -> tuple[str, bool, list[str]]:
    """The question, whether that is its text, and the rows."""
    try:
        entry: dict[str, Any] = json.loads(line)
        is_text = "_id" not in entry
        question = str(entry["text"] if is_text else entry["_id"]).strip()
        rows = entry["rows"]
        if not isinstance(rows, list) or not question:
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(
            f'{name} line {number}: expected {{"text": "…", "rows": ["…", …]}}'
        ) from None
    return question, is_text, [str(row) for row in rows]


def _read_trec(name: str, lines: list[tuple[int, str]]) -> Rankings:
    ranked: dict[str, dict[str, int]] = {}
    for number, line in lines:
        try:
            question, _, row, rank, _, _ = line.split()
            ranked.setdefault(question, {})[row] = int(rank)
        except ValueError:
            raise ConfigError(
                f"{name} line {number}: expected `question Q0 row rank score tag`"
            ) from None
    return {question: sorted(rows, key=rows.__getitem__) for question, rows in ranked.items()}

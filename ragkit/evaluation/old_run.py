"""What the old model answered, from a file: for a model that cannot be asked any more.

A TREC run has six columns, `question Q0 row rank score tag`. JSON lines are {"text": …, "rows":
[…]}, as an app's log has them, or {"_id": …, "rows": […]}; rows are keys of the table, best first.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ragkit.errors import ConfigError
from ragkit.evaluation.index.settings import EXACT
from ragkit.evaluation.metrics.trec import Rankings
from ragkit.evaluation.questions import QuestionSet, read_lines
from ragkit.evaluation.runs import RetrievalRun, Searched


def read_old_run(path: Path) -> Rankings:
    """Ranked rows by question: its id, or its text. The last of several lists of one question
    counts. Raises ConfigError with the file, the line and what was expected."""
    lines = read_lines(path)
    if not lines:
        raise ConfigError(f"{path.name} has no list")
    if lines[0][1].lstrip().startswith("{"):
        return dict(_read_json(path.name, number, line) for number, line in lines)
    return _read_trec(path.name, lines)


def run_of(
    rankings: Rankings, model: str, questions: QuestionSet, k: int
) -> tuple[RetrievalRun, QuestionSet]:
    """The run of the questions that have a list, and these questions. It has no distances and no
    times. Raises ConfigError when none has one."""
    found = {
        question: rankings.get(question, rankings.get(text))
        for question, text in questions.texts.items()
    }
    lists = {question: rows[:k] for question, rows in found.items() if rows is not None}
    if not lists:
        raise ConfigError(
            f"evaluation.old_run has lists of {len(rankings)} questions, and none of those of "
            f"evaluation.questions, such as {next(iter(questions.texts.values()))!r}"
        )
    asked = replace(
        questions,
        texts={question: questions.texts[question] for question in lists},
        qrels={q: grades for q, grades in questions.qrels.items() if q in lists},
    )
    searched = Searched(EXACT, lists, {}, np.array([]))
    return RetrievalRun(f"{model}, as logged", {}, np.array([]), searched, searched), asked


def _read_json(name: str, number: int, line: str) -> tuple[str, list[str]]:
    try:
        entry: dict[str, Any] = json.loads(line)
        question = str(entry["_id"] if "_id" in entry else entry["text"]).strip()
        rows = entry["rows"]
        if not isinstance(rows, list) or not question:
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(
            f'{name} line {number}: expected {{"text": "…", "rows": ["…", …]}}'
        ) from None
    return question, [str(row) for row in rows]


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

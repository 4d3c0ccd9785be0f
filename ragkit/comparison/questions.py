"""Questions, judged or not, read from files and checked against each other.

Judged ones: JSON lines {"_id": …, "text": …} (BEIR), and qrels, tab-separated with a header line
`query-id corpus-id score` (BEIR) or TREC's four columns `query 0 row grade` without one. Those of
a log have no qrels: a line of text each, or JSON lines {"text": …, "count": …}.
"""

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from ragkit.errors import ConfigError

Qrels = dict[str, dict[str, int]]
"""Grades by question and row: 0 is judged not relevant, larger is better."""


@dataclass(frozen=True)
class Judged:
    """Questions by id, and the grades of those that have a relevant row; none for a log, whose
    `counts` say how often each was asked. `gone` judged rows are no longer in the table. A
    `proxy` was made of the rows, and nobody judged it."""

    texts: dict[str, str]
    qrels: Qrels
    gone: int = 0
    proxy: bool = False
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def unanswerable(self) -> int:
        """Questions without a relevant row: asked, but of no weight in a metric."""
        return len(self.texts) - len(self.qrels)

    def without(self, rows: set[str]) -> "Judged":
        """Left are the questions that still have a relevant row."""
        kept = {
            question: {row: grade for row, grade in grades.items() if row not in rows}
            for question, grades in self.qrels.items()
        }
        return replace(self, qrels=_answerable(kept), gone=self.gone + len(rows))


def read(questions: Path, qrels: Path | None) -> Judged:
    """Raises ConfigError naming the file, the line and what was expected."""
    return _judged(questions, qrels) if qrels else _log(questions)


def _log(file: Path) -> Judged:
    """The questions of a log, each once, with its count."""
    counts: Counter[str] = Counter()
    for number, line in _lines(file):
        text, count = line.strip(), 1
        if line.lstrip().startswith("{"):
            try:
                entry = json.loads(line)
                text, count = entry["text"].strip(), int(entry.get("count", 1))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise ConfigError(
                    f'{file.name} line {number}: expected {{"text": "…", "count": 1}}'
                ) from None
        if not text or count < 1:
            raise ConfigError(f"{file.name} line {number}: an empty text, or a count below 1")
        counts[text] += count
    if not counts:
        raise ConfigError(f"{file.name} holds no question")
    texts = {f"log-{number}": text for number, text in enumerate(counts, 1)}
    return Judged(texts, {}, counts={name: counts[text] for name, text in texts.items()})


def _judged(questions: Path, qrels: Path) -> Judged:
    texts: dict[str, str] = {}
    for number, line in _lines(questions):
        try:
            entry = json.loads(line)
            name, text = str(entry["_id"]), entry["text"]
        except (ValueError, KeyError, TypeError):
            raise ConfigError(
                f'{questions.name} line {number}: expected {{"_id": "…", "text": "…"}}'
            ) from None
        if name in texts:
            raise ConfigError(f"{questions.name} line {number}: the id {name!r} stands twice")
        if not isinstance(text, str) or not text.strip():
            raise ConfigError(f"{questions.name} line {number}: the text of {name!r} is empty")
        texts[name] = text
    grades = _grades(qrels)
    if unknown := sorted(set(grades) - set(texts)):
        raise ConfigError(f"{qrels.name} judges questions that are not asked: {unknown[:5]}")
    if not (relevant := _answerable(grades)):
        raise ConfigError(f"{qrels.name} holds no relevant row: nothing can be compared")
    return Judged(texts, relevant)


def _answerable(grades: Qrels) -> Qrels:
    return {q: rows for q, rows in grades.items() if any(grade > 0 for grade in rows.values())}


def _grades(path: Path) -> Qrels:
    grades: Qrels = {}
    for number, line in _lines(path):
        fields = line.split()
        if number == 1 and fields[:1] == ["query-id"]:
            continue
        try:
            question, row, grade = fields[0], fields[-2], int(fields[-1])
            if len(fields) not in (3, 4):
                raise ValueError
        except (ValueError, IndexError):
            raise ConfigError(
                f"{path.name} line {number}: expected `question row grade`, tab-separated"
            ) from None
        if row in grades.setdefault(question, {}):
            raise ConfigError(f"{path.name} line {number}: {question} {row} is judged twice")
        grades[question][row] = grade
    return grades


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {type(error).__name__}") from None
    return [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]

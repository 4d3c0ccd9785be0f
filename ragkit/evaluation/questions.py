"""Questions with or without judgements, read from files and checked against each other.

Judged questions are JSON lines {"_id": …, "text": …} (BEIR) and qrels: tab-separated lines
`query-id corpus-id score` with that header (BEIR), or TREC's four columns `query 0 row grade`
without one. A log has no qrels: it has one question a line, or JSON lines {"text": …, "count": …}.
"""

import json
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from ragkit.errors import ConfigError
from ragkit.evaluation.metrics.trec import Qrels


@dataclass(frozen=True)
class QuestionSet:
    """Questions by id, and the grades of those that have a relevant row.

    `missing_rows` counts judged rows that the table does not have. `is_proxy` marks questions that
    were made from the rows and not judged by anybody. `counts` is how often each question of a log
    was asked; a log has no qrels.
    """

    texts: dict[str, str]
    qrels: Qrels
    missing_rows: int = 0
    is_proxy: bool = False
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def unanswerable(self) -> int:
        """Questions without a relevant row. They are retrieved, but count in no metric."""
        return len(self.texts) - len(self.qrels)

    def judged_rows(self) -> set[str]:
        """The keys of all rows that have a grade."""
        return {row for grades in self.qrels.values() for row in grades}

    def without_rows(self, rows: Set[str]) -> "QuestionSet":
        """The same questions with these rows removed from the qrels and added to `missing_rows`.

        Questions without a remaining relevant row leave the qrels.
        """
        qrels = {
            question: {row: grade for row, grade in grades.items() if row not in rows}
            for question, grades in self.qrels.items()
        }
        return replace(self, qrels=_answerable(qrels), missing_rows=self.missing_rows + len(rows))


def read_questions(questions: Path, qrels: Path | None) -> QuestionSet:
    """Judged questions, or those of a log when `qrels` is None.

    Raises ConfigError with the file, the line and what was expected.
    """
    return _read_log(questions) if qrels is None else _read_judged(questions, qrels)


def _read_log(path: Path) -> QuestionSet:
    """The distinct questions of a log with their counts."""
    counts: Counter[str] = Counter()
    for number, line in read_lines(path):
        text, count = line.strip(), 1
        if text.startswith("{"):
            try:
                entry = json.loads(text)
                text, count = entry["text"].strip(), int(entry.get("count", 1))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise ConfigError(
                    f'{path.name} line {number}: expected {{"text": "…", "count": 1}}'
                ) from None
        if not text:
            raise ConfigError(f"{path.name} line {number}: the text is empty")
        if count < 1:
            raise ConfigError(
                f"{path.name} line {number}: the count is {count}, expected 1 or more"
            )
        counts[text] += count
    if not counts:
        raise ConfigError(f"{path.name} contains no question")
    texts = {f"log-{number}": text for number, text in enumerate(counts, 1)}
    return QuestionSet(texts, {}, counts={name: counts[text] for name, text in texts.items()})


def _read_judged(questions: Path, qrels: Path) -> QuestionSet:
    texts = _read_texts(questions)
    grades = _read_grades(qrels)
    if unknown := sorted(set(grades) - set(texts)):
        raise ConfigError(f"{qrels.name} has questions that {questions.name} lacks: {unknown[:5]}")
    if not (relevant := _answerable(grades)):
        raise ConfigError(f"{qrels.name} has no relevant row: nothing can be compared")
    return QuestionSet(texts, relevant)


def _answerable(qrels: Qrels) -> Qrels:
    """The questions that have a relevant row."""
    return {q: grades for q, grades in qrels.items() if any(g > 0 for g in grades.values())}


def _read_texts(path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    for number, line in read_lines(path):
        try:
            entry = json.loads(line)
            question, text = str(entry["_id"]), entry["text"]
        except (ValueError, KeyError, TypeError):
            raise ConfigError(
                f'{path.name} line {number}: expected {{"_id": "…", "text": "…"}}'
            ) from None
        if question in texts:
            raise ConfigError(f"{path.name} line {number}: the id {question!r} is used twice")
        if not isinstance(text, str) or not text.strip():
            raise ConfigError(f"{path.name} line {number}: the text of {question!r} is empty")
        texts[question] = text
    return texts


def _read_grades(path: Path) -> Qrels:
    qrels: Qrels = {}
    for number, line in read_lines(path):
        fields = line.split()
        if number == 1 and fields[0] == "query-id":
            continue
        try:
            question, row, grade = fields[0], fields[-2], int(fields[-1])
            if len(fields) not in (3, 4):
                raise ValueError
        except (ValueError, IndexError):
            raise ConfigError(
                f"{path.name} line {number}: expected `question row grade`, tab-separated"
            ) from None
        if row in qrels.setdefault(question, {}):
            raise ConfigError(f"{path.name} line {number}: {question} {row} is judged twice")
        qrels[question][row] = grade
    return qrels


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {type(error).__name__}") from None
    return [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]

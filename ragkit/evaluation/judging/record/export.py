"""The judgements in the forms that others read: TREC qrels with their questions, and preferences.

They are written anew after each judgement; the journal is what is kept.
"""

import json
import logging
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ragkit.errors import ConfigError
from ragkit.evaluation.judging.record.lines import Scope
from ragkit.evaluation.judging.record.standing import Judgements

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Files:
    """`evaluation.questions` and `evaluation.qrels` may name the first two."""

    questions: Path
    qrels: Path
    preferences: Path

    @classmethod
    def of(cls, folder: Path, scope: Scope) -> "Files":
        name = f"{scope.table}.{scope.old_column}.{scope.new_column}"
        stem = folder / re.sub(r"[^\w.-]+", "-", name)
        suffixes = (".questions.jsonl", ".qrels", ".preferences.jsonl")
        return cls(*(stem.with_name(stem.name + suffix) for suffix in suffixes))


def export(judgements: Judgements, files: Files) -> None:
    """Questions that are judged row by row go into the qrels, pairs of lists into the preferences.
    Raises ConfigError when a file cannot be written."""
    qrels = judgements.qrels
    questions = ({"_id": name, "text": judgements.texts[name]} for name in qrels)
    preferences = (
        {
            "question": p.question, "text": p.text, "preferred": p.preferred, "answer": p.answer,
            "asked": p.asked, "judge": p.judge, "at": p.at.isoformat(),
        }
        for p in judgements.preferences
    )  # fmt: skip
    grades = [(name, row, grade) for name, rows in qrels.items() for row, grade in rows.items()]
    unfit = [row for _, row, _ in grades if row.split() != [row]]
    if unfit:
        log.warning("%d judged keys have white space, which qrels cannot hold", len(unfit))
    kept = (f"{name} 0 {row} {grade}" for name, row, grade in grades if row.split() == [row])
    _write(files.questions, (json.dumps(entry, ensure_ascii=False) for entry in questions))
    _write(files.qrels, kept)
    _write(files.preferences, (json.dumps(entry, ensure_ascii=False) for entry in preferences))


def _write(file: Path, lines: Iterable[str]) -> None:
    """Whole or not at all, also beside another process; nothing where there is nothing."""
    content = "".join(f"{line}\n" for line in lines)
    if not content and not file.exists():
        return
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        draft.touch(0o600)
        draft.write_text(content, encoding="utf-8")
        draft.replace(file)
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror or error}") from None

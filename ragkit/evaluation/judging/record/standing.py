"""The judgements that stand, of all that were ever made: those that a verdict may use."""

import logging
from collections import Counter
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ragkit.database.translate import translate_errors
from ragkit.evaluation.judging.record.journal import Journal, read_journal
from ragkit.evaluation.judging.record.lines import (
    Judged,
    Line,
    Preference,
    Relevance,
    Scope,
    Typed,
    Undo,
)
from ragkit.evaluation.metrics.trec import Qrels
from ragkit.migration.migration import Migration

log = logging.getLogger(__name__)
J = TypeVar("J", bound=Judged)


@dataclass(frozen=True)
class Judgements:
    """`answers` are all that stand, in order of time. `left_out` counts the others by the reason.

    A question may have several judges. The first judgement of a question counts, so that none that
    counts changes later; the others tell how far the judges agree.
    """

    answers: list[Preference | Relevance] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def preferences(self) -> list[Preference]:
        """The one that counts of each question, in order of time."""
        return _first(a for a in self.answers if isinstance(a, Preference))

    @property
    def pools(self) -> list[list[Relevance]]:
        """The answers to all rows of a question by the first judge who gave them, in order of the
        last of them. Questions of which a row is missing are left out."""
        open_pools: dict[tuple[str, str], list[Relevance]] = {}
        complete: dict[str, list[Relevance]] = {}
        for answer in (a for a in self.answers if isinstance(a, Relevance)):
            pool = open_pools.setdefault((answer.judge, answer.question), [])
            pool.append(answer)
            if answer.rows <= {each.row for each in pool}:
                complete.setdefault(answer.question, pool)
        return list(complete.values())

    @property
    def qrels(self) -> Qrels:
        """Grades 1 and 0 of the rows of complete questions."""
        return {
            pool[0].question: {each.row: each.grade for each in pool if each.asked}
            for pool in self.pools
        }

    @property
    def texts(self) -> dict[str, str]:
        """The judged questions, by id."""
        return {answer.question: answer.text for answer in self.answers}

    def describe_left_out(self) -> str:
        """Such as "left out: 12 of another table (public.hotels)"; empty without any."""
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items())
        return f"left out: {reasons}" if reasons else ""


def read_judgements(folder: Path, migration: Migration) -> Judgements:
    """Of this table and pair of models, and of rows that are still there.

    What is left out is counted, and logged. Raises ConfigError for a file that cannot be read, and
    DatabaseError.
    """
    journal, scope = read_journal(folder), Scope.of(migration)
    gone = find_gone(migration, select(journal, scope).answers)
    judgements = select(journal, scope, gone)
    if judgements.left_out:
        log.warning("judgements %s", judgements.describe_left_out())
    return judgements


def find_gone(migration: Migration, answers: Iterable[Judged]) -> set[str]:
    """The judged rows that the table has no more, by the text form of the key."""
    rows = {row for answer in answers for row in answer.rows}
    query = migration.select(migration.key_text).where(migration.key_text.in_(sorted(rows)))
    with translate_errors("reading judgements"), migration.engine.connect() as connection:
        return rows - set(connection.scalars(query))


def select(journal: Journal, scope: Scope, gone: Set[str] = frozenset()) -> Judgements:
    """The judgements of a scope that show no row of `gone`."""
    standing = _standing(journal.lines)
    ours = [answer for answer in standing if answer.scope == scope]
    left_out = Counter(_difference(answer, scope) for answer in standing if answer.scope != scope)
    kept = [answer for answer in ours if not answer.rows & gone]
    if lost := {row for answer in ours for row in answer.rows & gone}:
        left_out[f"of rows that are gone, such as {min(lost)!r}"] = len(ours) - len(kept)
    if journal.unreadable:
        left_out[f"that cannot be read ({journal.unreadable[0]})"] = len(journal.unreadable)
    return Judgements(kept, dict(left_out))


def typed_texts(journal: Journal, scope: Scope) -> list[str]:
    """What judges typed in as questions to this table."""
    typed = (line for line in journal.lines if isinstance(line, Typed))
    return [line.text for line in typed if line.table == scope.table]


def _standing(lines: Iterable[Line]) -> list[Preference | Relevance]:
    """Without what was taken back, and the last of a judge who answered the same twice."""
    answers: dict[tuple[object, ...], Preference | Relevance] = {}
    for line in lines:
        if isinstance(line, Preference | Relevance | Undo):
            row = None if isinstance(line, Preference) else line.row
            place = (line.judge, line.scope, line.question, row)
            answers.pop(place, None)
            if not isinstance(line, Undo):
                answers[place] = line
    return list(answers.values())


def _first(answers: Iterable[J]) -> list[J]:
    first: dict[str, J] = {}
    for answer in answers:
        first.setdefault(answer.question, answer)
    return list(first.values())


def _difference(answer: Judged, scope: Scope) -> str:
    if answer.table != scope.table:
        return f"of another table ({answer.table})"
    return (
        f"of other models ({answer.old_model} in {answer.old_column}, "
        f"{answer.new_model} in {answer.new_column})"
    )

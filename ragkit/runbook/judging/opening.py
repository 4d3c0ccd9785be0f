"""A judging session of what a runbook's plan leads to."""

import getpass

from ragkit.evaluation.judging.lists import Ahead, Rank, make_lists, require_filled, search
from ragkit.evaluation.judging.questions import Questions, load_redact
from ragkit.evaluation.judging.record.journal import judge_file, read_journal
from ragkit.evaluation.judging.record.lines import Scope
from ragkit.evaluation.judging.record.standing import find_gone, select
from ragkit.evaluation.judging.session import Session
from ragkit.evaluation.judging.view import Settings
from ragkit.migration.migration import Migration
from ragkit.migration.plan.plan import file_path
from ragkit.runbook.parameters import make_private
from ragkit.runbook.questions import KNOWN_ITEMS, load_questions
from ragkit.runbook.runbook import Runbook


def open_session(runbook: Runbook, old: Rank | None = None) -> Session:
    """The lists of the old model are those of `old`, if it is given, such as the answers in a log
    of the app; else the old model is asked. Where it cannot be called either, the rows of the new
    model's lists are judged one by one.

    Raises ConfigError, SpaceNotReady while the new column is not full, ModelError or DatabaseError.
    """
    plan, migration = runbook.plan, runbook.migration
    judging, evaluation = plan.judging, plan.evaluation
    folder = file_path(judging.folder)
    judge = judging.judge or getpass.getuser()
    judge_file(folder, judge)  # a name that is none is told before anything is asked
    questions = Questions.of(_texts(migration), load_redact(judging.redact))
    require_filled(migration)
    rows = judging.rows
    if old is None and (embedder := runbook.old_embedder_or_none()):
        old = search(migration, migration.old, embedder, rows)
    new = search(migration, migration.new, runbook.new_embedder, rows)
    make_private(folder)
    scope = Scope.of(migration)
    return Session(
        scope,
        Settings(
            judge=judge, folder=folder, rows=rows, seed=evaluation.seed,
            pooled=judging.pooled or old is None, margin=plan.gates.preference_margin,
            floor=plan.gates.precision_floor,
        ),
        questions,
        Ahead(make_lists(migration, old, new, rows)),
        frozenset(find_gone(migration, select(read_journal(folder), scope).answers)),
    )  # fmt: skip


def _texts(migration: Migration) -> dict[str, str]:
    """Of the plan's file. Questions that are made from the rows are none that somebody asks."""
    if migration.plan.evaluation.questions == KNOWN_ITEMS:
        return {}
    questions = load_questions(migration)
    return questions.texts if questions else {}

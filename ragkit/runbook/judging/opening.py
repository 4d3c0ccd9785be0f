"""A judging session of what a runbook's plan leads to."""

import getpass
from dataclasses import replace

from ragkit.evaluation.judging.lists import Ahead, make_lists, search
from ragkit.evaluation.judging.old_lists import OldLists, old_lists
from ragkit.evaluation.judging.questions import LOG, Questions, load_redact
from ragkit.evaluation.judging.record.journal import judge_file, read_journal
from ragkit.evaluation.judging.record.lines import Scope
from ragkit.evaluation.judging.record.standing import find_gone, select
from ragkit.evaluation.judging.session import Session
from ragkit.evaluation.judging.view import Settings
from ragkit.evaluation.old_run import OldRun
from ragkit.evaluation.samples import require_filled
from ragkit.migration.migration import Migration
from ragkit.migration.plan.plan import file_path
from ragkit.runbook.parameters import make_private
from ragkit.runbook.questions import KNOWN_ITEMS, load_questions
from ragkit.runbook.runbook import Runbook


def open_session(runbook: Runbook) -> Session:
    """The lists of the old model are those of `evaluation.old_run`, if there is one, and then only
    its questions are judged; else the old model is asked. Where it cannot be called, a rescue's
    bridge tells its lists; without one, or for single rows, the rows of the new model's lists are
    judged alone.

    Raises ConfigError, SpaceNotReady while the new column is not full, ModelError or DatabaseError.
    """
    plan, migration = runbook.plan, runbook.migration
    judging, evaluation = plan.judging, plan.evaluation
    folder = file_path(judging.folder)
    judge = judging.judge or getpass.getuser()
    judge_file(folder, judge)  # a name that is none is told before anything is asked
    redact, logged = load_redact(judging.redact), runbook.old_run
    questions = Questions.of(_texts(migration, logged), redact, closed=logged is not None)
    if logged:
        logged = logged.redacted(redact)
        questions = replace(questions, texts=logged.listed(questions.texts))
    require_filled(migration)
    rows, model = judging.rows, runbook.new_embedder
    asked = logged or runbook.old_embedder_or_none()
    lists = old_lists(migration, asked, model, rows)
    if asked is None and judging.pooled:
        lists = OldLists(None)  # what a bridge tells is no evidence of single rows
    new = search(migration, migration.new, model.embed_query, rows)
    make_private(folder)
    scope = Scope.of(migration, lists.named)
    return Session(
        scope,
        Settings(
            judge=judge, folder=folder, rows=rows, seed=evaluation.seed,
            pooled=judging.pooled or lists.rank is None, margin=plan.gates.preference_margin,
            floor=plan.gates.precision_floor,
        ),
        questions,
        Ahead(make_lists(migration, lists.rank, new, rows)),
        frozenset(find_gone(migration, select(read_journal(folder), [scope]).answers)),
    )  # fmt: skip


def _texts(migration: Migration, logged: OldRun | None) -> dict[str, str]:
    """Of the plan's file, else those of the log of answers. Questions that are made from the rows
    are none that somebody asks."""
    if migration.plan.evaluation.questions == KNOWN_ITEMS:
        return {}
    questions = load_questions(migration)
    if questions is None and logged:
        return {f"{LOG}{number}": text for number, text in enumerate(logged.texts)}
    return questions.texts if questions else {}

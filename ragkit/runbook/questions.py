"""The questions that a plan names, and whether they are about its table."""

import itertools

from ragkit.database.translate import translate_errors
from ragkit.deploy.project_checks import Check
from ragkit.embedding.embedder import PROBE_TEXT
from ragkit.evaluation.comparison import require_rows
from ragkit.evaluation.judging.effort import Effort, rows_effort
from ragkit.evaluation.label_free.known_items import make_known_items
from ragkit.evaluation.metrics.significance import MIN_QUESTIONS
from ragkit.evaluation.questions import QuestionSet, read_questions
from ragkit.migration.migration import Migration
from ragkit.migration.plan.plan import file_path

KNOWN_ITEMS = "known-items"
"""In place of a file of questions: they are made from the rows."""
PROBE_QUESTIONS = 1000
"""Of a probe, which begins again after the last one."""


def load_questions(migration: Migration) -> QuestionSet | None:
    """None when the plan names none. Raises ConfigError when a file is not as expected."""
    settings = migration.plan.evaluation
    if not settings.questions:
        return None
    if settings.questions == KNOWN_ITEMS:
        return make_known_items(migration)
    qrels = file_path(settings.qrels) if settings.qrels else None
    return read_questions(file_path(settings.questions), qrels)


def check_questions(migration: Migration) -> str:
    """One line about the questions, before anything is embedded.

    Raises ConfigError when a file is not as expected, or when its judged rows are another table's.
    """
    if migration.plan.evaluation.questions == KNOWN_ITEMS:
        return "questions: known items, made from the rows"
    questions = load_questions(migration)
    if questions is None:
        return "questions: none; stored vectors are compared"
    checked = require_rows(migration, questions)
    counts = f"questions: {len(checked.texts):,}, judged: {len(checked.qrels):,}"
    missing = f", {checked.missing_rows} judged rows are not in the table"
    return counts + (missing if checked.missing_rows else "")


def check_judgements(migration: Migration, effort: Effort) -> Check:
    """How many judged questions a verdict takes for this pair of models, and how many there are.
    Raises ConfigError or DatabaseError."""
    questions = load_questions(migration)
    judged = 0
    if questions and not questions.is_proxy:
        judged = len(require_rows(migration, questions).qrels)
    needed = max(effort.questions, MIN_QUESTIONS)
    clicks = f"about {effort.clicks:,}" if effort.clicks else "too many"
    observed = (
        f"{judged:,} judged questions; if both models are equal, a GO takes about {needed:,} of "
        f"them, or {clicks} side by side; if the new one is clearly better, about "
        f"{max(effort.better, MIN_QUESTIONS):,}, or {effort.better_clicks or 'too many'} "
        f"(by {effort.rows} rows, of which both models rank the neighbours)"
    )
    fix = "" if judged >= needed else "judge more, with 03b_judge or ragkit judge"
    return Check("judgements", observed, judged >= needed or None, fix)


def check_floor(migration: Migration) -> Check:
    """How many questions people have to judge of the new model alone, where the old one cannot be
    asked."""
    plan = migration.plan
    if plan.evaluation.old_run:
        return Check("judgements", "the old model's answers are those of evaluation.old_run", None)
    floor = plan.gates.precision_floor
    precision, count = rows_effort(plan.judging.rows, floor)
    observed = (
        "the old model cannot be asked, so that people judge the new one alone: if "
        f"{precision:.0%} of its first {plan.judging.rows} rows are relevant, about {count} "
        f"questions show that it is at least {floor:.0%}"
    )
    return Check("judgements", observed, None, "after the backfill, ragkit judge --pooled")


def probe_questions(migration: Migration) -> list[str]:
    """What a probe asks: the plan's questions, else labels of rows; never none. Raises
    ConfigError or DatabaseError."""
    if questions := load_questions(migration):
        return list(itertools.islice(questions.texts.values(), PROBE_QUESTIONS))
    labels = migration.sample(migration.label, limit=PROBE_QUESTIONS)
    with translate_errors("choosing questions"), migration.engine.connect() as connection:
        texts = connection.scalars(labels.where(migration.label.is_not(None)))
        return [text for text in texts if text.strip()] or [PROBE_TEXT]

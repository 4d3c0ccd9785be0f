"""Compares old and new retrieval: the same questions searched in the old and the new column."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.errors import ConfigError
from ragkit.evaluation.hybrid.app import fused_run, words_of_app
from ragkit.evaluation.metrics import duplicates, rank_overlap, trec
from ragkit.evaluation.metrics.bootstrap import Interval, bootstrap_interval
from ragkit.evaluation.old_run import OldRun, run_of
from ragkit.evaluation.questions import QuestionSet
from ragkit.evaluation.runs import RetrievalRun, retrieve
from ragkit.evaluation.samples import labels_and_texts, require_filled
from ragkit.migration.migration import Migration

if TYPE_CHECKING:  # half a second, which only a comparison takes
    import pandas as pd

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Comparison:
    """The retrieval runs of both models over the same questions, and their figures.

    `old_scores` and `new_scores` have a row for each judged question and a column for each
    metric. `overlap`, `rbo`, `tau` and `first_row_changed` compare the two ranked lists of every
    question. `labels` and `texts` describe the retrieved and the judged rows, by key. `duplicates`
    counts those that share their text with another row; the order among such rows is arbitrary.
    `unfindable` are the judged questions of which no relevant row has a new vector: no model could
    answer them.
    """

    k: int
    questions: QuestionSet
    old: RetrievalRun
    new: RetrievalRun
    old_scores: "pd.DataFrame"
    new_scores: "pd.DataFrame"
    overlap: "pd.Series"
    rbo: "pd.Series"
    tau: "pd.Series"
    first_row_changed: "pd.Series"
    labels: dict[str, str]
    texts: dict[str, str]
    duplicates: int = 0
    unfindable: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, k: int, questions: QuestionSet, old: RetrievalRun, new: RetrievalRun,
        labels: dict[str, str], texts: dict[str, str], unfindable: tuple[str, ...] = (),
    ) -> "Comparison":  # fmt: skip
        """Computes the figures, after ordering rows of the same text alike in both runs."""
        groups = duplicates.duplicate_groups(texts)
        qrels = questions.qrels
        old, new = (
            run.reordered(lambda ranked: duplicates.order_duplicates(ranked, groups, qrels))
            for run in (old, new)
        )
        return cls(
            k=k,
            questions=questions,
            old=old,
            new=new,
            old_scores=trec.score_questions(qrels, old.rankings, k),
            new_scores=trec.score_questions(qrels, new.rankings, k),
            overlap=rank_overlap.overlap(old.rankings, new.rankings, k),
            rbo=rank_overlap.rbo(old.rankings, new.rankings, k),
            tau=rank_overlap.kendall(old.rankings, new.rankings, k),
            first_row_changed=rank_overlap.first_row_changed(old.rankings, new.rankings),
            labels=labels,
            texts=texts,
            duplicates=len(groups),
            unfindable=unfindable,
        )

    def mean_agreement(self, series: "pd.Series", seed: int) -> Interval:
        """The mean of such a comparison. A question of a log is weighted by its count."""
        counts = self.questions.counts
        weights = np.array([counts.get(question, 1) for question in series.index], float)
        return bootstrap_interval(series.to_numpy(), seed, weights)

    def change(self, metric: str) -> "pd.Series":
        """New minus old score of each judged question, the largest loss first."""
        return (self.new_scores[metric] - self.old_scores[metric]).sort_values(kind="stable")


def compare(
    migration: Migration, questions: QuestionSet, old: Embedder | OldRun, new_embedder: Embedder
) -> Comparison:
    """Runs every question against both columns. `old` may be the old model's lists, of a log: then
    only questions with a list are asked.

    Raises SpaceNotReady (with the coverage) while the new column is not full; ConfigError when k
    is not smaller than the table, or as `require_rows` does; ModelError or DatabaseError.
    """
    _require_full_column(migration)
    questions = require_rows(migration, questions)
    k = migration.plan.evaluation.k
    if isinstance(old, OldRun):
        old_run, questions = run_of(old, migration.plan.old.model, questions, k)
    else:
        old_run = retrieve(migration, migration.old, old, questions)
    new_run = retrieve(migration, migration.new, new_embedder, questions)
    if words := words_of_app(migration, questions):
        new_run = fused_run(migration, migration.new, new_run, words)
        if old_run.vectors:  # an app's log has what it fused
            old_run = fused_run(migration, migration.old, old_run, words)
    retrieved = {
        row for run in (old_run, new_run) for rows in run.rankings.values() for row in rows
    }
    labels, texts = labels_and_texts(migration, questions.judged_rows() | retrieved)
    return Comparison.of(
        k=k, questions=questions, old=old_run, new=new_run, labels=labels, texts=texts,
        unfindable=_unfindable(migration, questions),
    )  # fmt: skip


def require_rows(migration: Migration, questions: QuestionSet) -> QuestionSet:
    """The questions without the judged rows that the table does not have.

    Rows of a live table are deleted, so a few missing ones are left out with a warning. Raises
    ConfigError when more judged rows are missing than present (the qrels are of another table),
    or when no judged question has a relevant row left.
    """
    judged = questions.judged_rows()
    present = set(labels_and_texts(migration, judged)[0])
    missing = judged - present
    if not missing:
        return questions
    if len(missing) > len(present):
        raise ConfigError(
            f"the qrels name {len(missing)} rows that do not exist, {min(missing)!r} among them, "
            f"and {len(present)} that do: expected values of {migration.plan.table.key!r} of "
            f"{migration.plan.table.qualified_name}"
        )
    remaining = questions.without_rows(missing)
    if not remaining.qrels:
        raise ConfigError(
            f"the table has no relevant row of any judged question, {len(missing)} are missing: "
            "give qrels of the rows that are there"
        )
    log.warning("%d judged rows are not in the table and are left out", len(missing))
    return remaining


def _require_full_column(migration: Migration) -> None:
    counts = require_filled(migration)
    k = migration.plan.evaluation.k
    if counts.filled <= k:
        raise ConfigError(
            f"k is {k}, and {counts.filled} rows have a vector, so that every model would return "
            "all of them: set a smaller k"
        )


def _unfindable(migration: Migration, questions: QuestionSet) -> tuple[str, ...]:
    """The judged questions of which every relevant row lacks a new vector."""
    query = migration.select(migration.key_text)
    query = query.where(migration.key_text.in_(sorted(questions.judged_rows())))
    query = query.where(migration.new_vector.is_not(None))
    with translate_errors("comparing"), migration.engine.connect() as connection:
        filled = set(connection.scalars(query))
    return tuple(
        question
        for question, grades in questions.qrels.items()
        if not any(grade > 0 and row in filled for row, grade in grades.items())
    )

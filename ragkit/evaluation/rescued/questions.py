"""The questions that a rescued service is measured by: judged ones, else words of rows."""

from dataclasses import replace

import numpy as np

from ragkit.evaluation.bridge.rows import read_spread
from ragkit.evaluation.comparison import require_rows
from ragkit.evaluation.label_free.known_items import draw_questions
from ragkit.evaluation.questions import QuestionSet
from ragkit.migration.migration import Migration

MAX_QUESTIONS = 100
POOL_ROWS = 2000
"""Of which the questions are made, where there are no judgements."""


def choose_questions(migration: Migration, judged: QuestionSet | None) -> QuestionSet:
    """At most MAX_QUESTIONS of `judged` that have a relevant row, else known items; the same ones
    each time, maybe none. Raises ConfigError when the judged rows are another table's, or
    DatabaseError."""
    seed = migration.plan.evaluation.seed
    if judged and judged.qrels and not judged.is_proxy:
        judged = require_rows(migration, judged)
        names = [str(n) for n in np.random.default_rng(seed).permutation(list(judged.qrels))]
        chosen = sorted(names[:MAX_QUESTIONS])
        texts, grades = {n: judged.texts[n] for n in chosen}, {n: judged.qrels[n] for n in chosen}
        return replace(judged, texts=texts, qrels=grades)
    rows = {row.key: row.text for row in read_spread(migration, POOL_ROWS) if row.new is None}
    drawn = dict(list(draw_questions(rows, seed).items())[:MAX_QUESTIONS])
    return QuestionSet(drawn, {row: {row: 1} for row in drawn}, is_proxy=True)

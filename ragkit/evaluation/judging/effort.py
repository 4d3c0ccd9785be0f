"""How many judgements a verdict will take for a pair of models, estimated before anything is paid.

It depends on how differently the two models rank. That shows in a sample of rows: each one is asked
for its neighbours in both spaces, and rows drawn from the two lists play the relevant ones.
"""

from dataclasses import dataclass
from math import ceil, comb

import numpy as np

from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.evaluation.metrics.significance import ERROR, POWER
from ragkit.evaluation.samples import normalise
from ragkit.migration.inspection.embedded import embed_rows
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import has_text
from ragkit.sequential.betting import observations_needed

MAX_ROWS, MIN_ROWS = 100, 30
RELEVANT = 5
"""Rows that play the relevant ones of a question. By that, the spread of nDCG was within a third of
that of people's judgements on the sample's own collection and on Cranfield, for three pairs of
models each (tests/evaluation/judging/test_effort.py)."""
DRAWS = 20
"""Of relevant rows, for each row that plays a question."""
NOTICED = 0.05
"""Change of nDCG: people take lists that differ by less for equal."""
SLIPS = 0.1
"""Share of clicks that say the opposite of what a person finds."""


@dataclass(frozen=True)
class Effort:
    """`spread` is the standard deviation of the change of nDCG by question, and `preferred` the
    share of questions for which somebody would prefer one list, by `rows` sampled rows.

    `questions` are judged questions that show the new model not to be worse, four times in five, if
    it is equal; `better` if its nDCG is higher by the margin. `clicks` and `better_clicks` are
    side by side judgements for the same, in the median; better is preferred by 20 more of 100.
    None is more than can be asked.
    """

    rows: int
    spread: float
    preferred: float
    questions: int
    better: int
    clicks: int | None
    better_clicks: int | None


def estimate_effort(migration: Migration, embedder: Embedder) -> Effort | None:
    """Embeds up to MAX_ROWS texts. None with fewer than MIN_ROWS rows that have an old vector and a
    text that the model takes. Raises ModelError or DatabaseError."""
    plan = migration.plan
    query = migration.sample(migration.content, migration.old_vector, limit=MAX_ROWS)
    query = query.where(migration.old_vector.is_not(None), has_text(migration.content))
    with translate_errors("sampling rows"), migration.engine.connect() as connection:
        rows = {row[0]: row[1] for row in connection.execute(query)}
    found = embed_rows(migration, embedder, list(rows))
    if len(found) < MIN_ROWS:
        return None
    old, new = normalise(rows[text] for text in found), normalise(found.values())
    k = min(plan.evaluation.k, len(found) - 1)
    changes = simulated_changes(old, new, k, plan.evaluation.seed)
    gates = plan.gates
    return effort_of(changes, len(found), gates.margin, gates.preference_margin)


def simulated_changes(old: np.ndarray, new: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Changes of nDCG@k of questions that rows play, of shape (draws,); `old` and `new` are unit
    vectors of the same rows, of shape (rows, dimension)."""
    rng = np.random.default_rng(seed)
    gains = 1 / np.log2(np.arange(2, k + 2))
    changes = []
    for before, after in zip(_neighbours(old, k), _neighbours(new, k), strict=True):
        shown = list(dict.fromkeys([*before, *after]))
        size = min(RELEVANT, len(shown))
        ideal = gains[: min(size, k)].sum()
        value = np.zeros((2, len(old)))
        value[0, before], value[1, after] = gains, gains
        for _ in range(DRAWS):
            relevant = rng.choice(shown, size, replace=False)
            lost, won = value[:, relevant].sum(axis=1)
            changes.append((won - lost) / ideal)
    return np.array(changes)


def effort_of(changes: np.ndarray, rows: int, margin: float, preference_margin: float) -> Effort:
    """The judgements for changes of this spread; their mean plays no part."""
    from scipy.stats import norm

    spread = float(changes.std(ddof=1))
    deviations = float(norm.ppf(1 - ERROR) + norm.ppf(POWER))
    equal, better = (ceil((deviations * spread / gap) ** 2) for gap in (margin, 2 * margin))
    preferred = float((np.abs(changes) > NOTICED).mean())
    clicks = [_clicks(preferred, net, preference_margin) for net in (0.0, 0.2)]
    return Effort(rows, spread, preferred, equal, better, *clicks)


def rows_effort(rows: int, floor: float) -> tuple[float, int | None]:
    """For people who judge the first `rows` rows of the new model alone: a precision that is well
    above the floor, and about how many questions show that it is above."""
    precision = (1 + floor) / 2
    shares = np.array([comb(rows, n) for n in range(rows + 1)], float)
    shares *= precision ** np.arange(rows + 1) * (1 - precision) ** np.arange(rows, -1, -1)
    values = np.arange(rows + 1) / rows
    return precision, observations_needed(values, shares, floor, least=0.0)


def _clicks(preferred: float, net: float, margin: float) -> int | None:
    """Where people prefer the new model by `net`, and slip now and then."""
    seen = net * (1 - 2 * SLIPS)
    new = (preferred + seen) / 2
    shares = np.clip([new, preferred - new, 1 - preferred], 0, 1)
    return observations_needed([1.0, -1.0, 0.0], shares / shares.sum(), -margin)


def _neighbours(vectors: np.ndarray, k: int) -> np.ndarray:
    """The k nearest other rows of each row, nearest first."""
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    nearest: np.ndarray = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return nearest

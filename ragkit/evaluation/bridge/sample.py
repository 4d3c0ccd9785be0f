"""The sample of a bridge grows until its curve is flat, or until the budget ends.

Rows that have both vectors cost nothing and come first. What is bought for the others lands in the
new space, where the backfill finds it: nothing is paid twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ragkit.embedding.embedder import Embedder
from ragkit.errors import BudgetExceeded
from ragkit.evaluation.bridge.cross_validation import CrossValidation, cross_validate, fit_bridge
from ragkit.evaluation.bridge.purchase import Purchase
from ragkit.evaluation.bridge.rows import SampledRow, read_keys, read_spread
from ragkit.evaluation.samples import PairedVectors, normalise
from ragkit.migration.migration import Migration
from ragkit.retrieval.rescue.candidates.bridge import Bridge

FIRST, SECOND = 26, 50
"""Pairs of the first two steps; each further step has twice as many."""
MAX_PAIRS = 1600
POOL_ROWS = 2000
"""Rows that are read. All their old vectors are neighbours at each step, whose figures can
therefore be compared."""
MIN_GAIN = 0.02
"""Of the overlap, by a doubling: a smaller one ends the sample."""
FLAT_FROM = 200
"""Pairs: the figures of fewer vary by more than MIN_GAIN."""


@dataclass(frozen=True, eq=False)
class Fitting:
    """A step of the sample. Texts that were `bought` for it so far, and texts that the model
    `refused`; `result` counts the pairs and the foreign rows. `bridge` is None when it is refused.
    `ended` says why this is the last step, else it is ""."""

    bought: int
    refused: int
    result: CrossValidation
    bridge: Bridge | None
    ended: str


def grow_sample(
    migration: Migration, embedder: Embedder, limit: int = MAX_PAIRS, min_gain: float = MIN_GAIN
) -> Iterator[Fitting]:
    """A fitting at 26, 50, 100, 200, … pairs, at those that are there already, and at the last one.

    It ends when the last doubling gained less than `min_gain` of the overlap, at `limit` pairs, at
    the end of the table, or of the budget. Raises PhaseError before expand, SpaceMismatch,
    ModelError or DatabaseError; what was bought stays.
    """
    purchase, sample = Purchase(migration, embedder), _Sample.read(migration, max(limit, POOL_ROWS))
    overlaps: dict[int, float] = {}
    ended = ""
    for size in _sizes(sample.free, min(limit, len(sample.waiting))):
        try:
            sample.grow(size, purchase)
        except BudgetExceeded as error:
            ended = str(error)
        result, bridge = sample.fit()
        pairs = len(sample.paired)
        overlaps[pairs] = result.overlap.mean if result.overlap else 0.0
        if not ended and pairs >= limit:
            ended = f"the limit of {limit} pairs is reached"
        if not ended and not sample.waiting:
            ended = "no further row has a text that the model takes, and an old vector"
        if not ended and pairs >= max(FLAT_FROM, sample.free):
            ended = _flat(overlaps, pairs, min_gain)
        yield Fitting(sample.bought, sample.refused, result, bridge, ended)
        if ended:
            return


def _sizes(free: int, most: int) -> list[int]:
    """Of the steps, up to `most`; one uses all rows that are free."""
    doubled = [FIRST, *(SECOND * 2**n for n in range(most.bit_length()))]
    return sorted({size for size in (*doubled, free) if FIRST <= size < most} | {most})


def _flat(overlaps: dict[int, float], pairs: int, min_gain: float) -> str:
    """Compared with the largest sample of about half as many pairs."""
    half = max((size for size in overlaps if size <= pairs * FIRST / SECOND), default=None)
    if half is None or (gain := overlaps[pairs] - overlaps[half]) >= min_gain:
        return ""
    return (
        f"the overlap of {pairs} pairs is {overlaps[pairs]:.3f}, {gain:+.3f} against {half} pairs: "
        f"it gains less than {min_gain:g}"
    )


@dataclass
class _Sample:
    """Rows by text: `paired` ones have both vectors; of the `waiting` ones the first `free` texts
    had them when the sample was read."""

    migration: Migration
    waiting: list[list[SampledRow]]
    free: int
    paired: list[SampledRow] = field(default_factory=list)
    bought: int = 0
    refused: int = 0

    @classmethod
    def read(cls, migration: Migration, limit: int) -> "_Sample":
        by_text: dict[str, list[SampledRow]] = {}
        for row in read_spread(migration, limit):
            by_text.setdefault(row.text, []).append(row)
        waiting = [rows for rows in by_text.values() if not any(row.is_refused for row in rows)]
        return cls(migration, waiting, sum(rows[0].new is not None for rows in waiting))

    def grow(self, size: int, purchase: Purchase) -> None:
        """To `size` pairs, as far as there are texts. Raises as Purchase.fill, when the sample has
        taken what was bought."""
        while self.waiting and (missing := size - len(self.paired)) > 0:
            chosen, self.waiting = self.waiting[:missing], self.waiting[missing:]
            self.paired += [rows[0] for rows in chosen if rows[0].new is not None]
            unpaid = [row for rows in chosen if rows[0].new is None for row in rows]
            if unpaid:
                try:
                    purchase.fill(unpaid)
                finally:
                    self._take(unpaid)

    def _take(self, asked: Sequence[SampledRow]) -> None:
        texts = {row.text for row in asked}
        found = {row.text: row for row in read_keys(self.migration, [row.key for row in asked])}
        answered = [row for text, row in found.items() if text in texts and row.new is not None]
        self.paired += answered
        self.bought += len(answered)
        self.refused += sum(row.is_refused for row in found.values())

    def fit(self) -> tuple[CrossValidation, Bridge | None]:
        settings = self.migration.plan.evaluation
        pairs = PairedVectors(
            [row.key for row in self.paired],
            [row.text for row in self.paired],
            normalise(row.old for row in self.paired),
            normalise(row.new for row in self.paired if row.new is not None),
        )
        others = normalise(rows[0].old for rows in self.waiting) if self.waiting else None
        result = cross_validate(pairs, settings.k, settings.seed, others)
        return result, fit_bridge(pairs, result)

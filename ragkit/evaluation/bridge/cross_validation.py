"""Which map makes the best bridge, and what it is worth: by cross-validation on held-out rows.

The figure is the overlap@k of a held-out row's neighbours on the old column: those of its mapped
new vector, and those of its own old vector. Of rows with the same text one takes part, so that no
fold knows a text of another one, and no row is its own neighbour.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ragkit.evaluation.bridge.foreign import assign_folds, find_foreign
from ragkit.evaluation.bridge.maps import RidgePath, coordinates, procrustes, ridge
from ragkit.evaluation.metrics.bootstrap import Interval, bootstrap_interval
from ragkit.evaluation.metrics.space_similarity import shared_neighbours
from ragkit.evaluation.samples import PairedVectors
from ragkit.retrieval.rescue.candidates.bridge import Bridge

PROCRUSTES, RIDGE = "procrustes", "ridge"
PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
FOLDS, MANY_ROWS, FOLDS_OF_MANY = 10, 300, 5
MIN_PAIRS = 20
"""Two held-out rows a fold."""
MIN_OVERLAP = 0.2
"""Of what chance leaves, as Cohen's kappa (1960): from 0 for chance to 1 for the same lists. A
bridge below it finds fewer than a fifth of the rows that the old model would have found."""
_Map = tuple[str, float | None]


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """`method` and `penalty` (None for Procrustes) of the best map, and its `overlap` on the
    held-out rows; None when none was fitted. As the best of few candidates, it is a little too
    high.

    `chance`: the overlap of lists that belong to different rows; it is higher where some rows are
    near to all. `pairs` rows with different texts took part. `foreign` counts those that were left
    out: the rows of `find_foreign`, and those with a vector that is 0. `candidates`: the mean
    overlap by map. `kept`: the positions of the pairs in `sample.distinct()`. `refused`: why no
    bridge may be used, else None.
    """

    pairs: int
    refused: str | None
    method: str = ""
    penalty: float | None = None
    overlap: Interval | None = None
    chance: float = 0.0
    foreign: int = 0
    candidates: dict[str, float] = field(default_factory=dict)
    kept: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))


def cross_validate(
    sample: PairedVectors, k: int, seed: int, others: np.ndarray | None = None
) -> CrossValidation:
    """`others`: old unit vectors of further rows, which are neighbours too, of shape (n, old
    dimension); their texts are none of the sample's. The same arguments give the same answer."""
    if not sample.labels:
        return CrossValidation(0, _too_few(0, 0, k))
    rows = sample.distinct()
    usable = np.flatnonzero(rows.old.any(axis=1) & rows.new.any(axis=1))
    if reason := _says_nothing(rows.old) or _too_few(len(usable), len(rows.labels), k):
        return CrossValidation(len(usable), reason, foreign=len(rows.labels) - len(usable))
    (new, _), (old, basis) = coordinates(rows.new[usable]), coordinates(rows.old[usable])
    is_kept = ~find_foreign(new, old, seed)
    kept, new, old = usable[is_kept], new[is_kept], old[is_kept]
    foreign = len(rows.labels) - len(kept)
    if reason := _too_few(len(kept), len(rows.labels), k):
        return CrossValidation(len(kept), reason, foreign=foreign, kept=kept)
    candidates = old if others is None else np.vstack([old, others @ basis])
    nearest = _nearest(old, candidates, k)
    shares, chances = {}, {}
    for name, mapped in _held_out(new, old, seed):
        found = _nearest(mapped, candidates, k)
        shares[name] = shared_neighbours(nearest, found)
        chances[name] = _chance(nearest, found, float(shares[name].mean()), len(candidates))
    best = max(shares, key=lambda name: float(shares[name].mean()))
    overlap, chance = bootstrap_interval(shares[best], seed), chances[best]
    return CrossValidation(
        len(kept),
        _too_low(overlap, chance, k, len(kept)),
        *best,
        overlap,
        chance,
        foreign,
        {_label(name): float(share.mean()) for name, share in shares.items()},
        kept,
    )


def fit_bridge(sample: PairedVectors, chosen: CrossValidation) -> Bridge | None:
    """The chosen map, fitted on all pairs that the cross-validation of this sample kept; None when
    it is refused."""
    if chosen.refused:
        return None
    rows = sample.distinct()
    new, old = rows.new[chosen.kept], rows.old[chosen.kept]
    penalty = chosen.penalty
    matrix = procrustes(new, old) if penalty is None else ridge(new, old, penalty)
    name = _label((chosen.method, chosen.penalty))
    return Bridge(name, chosen.pairs, matrix.astype(np.float32))


def _held_out(new: np.ndarray, old: np.ndarray, seed: int) -> Iterator[tuple[_Map, np.ndarray]]:
    """By map, each row mapped by what was fitted without its fold, of the shape of `old`."""
    count = FOLDS if len(new) < MANY_ROWS else FOLDS_OF_MANY
    folds = assign_folds(len(new), count, seed)
    names: list[_Map] = [(PROCRUSTES, None), *((RIDGE, penalty) for penalty in PENALTIES)]
    mapped = {name: np.empty_like(old) for name in names}
    for fold in range(count):
        held, fitted = folds == fold, folds != fold
        path = RidgePath.of(new[fitted], old[fitted])
        for name in names:
            penalty = name[1]
            mapped[name][held] = (
                new[held] @ procrustes(new[fitted], old[fitted])
                if penalty is None
                else path.apply(new[held], penalty)
            )
    yield from mapped.items()


def _nearest(vectors: np.ndarray, candidates: np.ndarray, k: int) -> np.ndarray:
    """The k nearest of `candidates` for each vector, nearest first, of shape (rows, k). The first
    candidates are the vectors' own rows, and left out."""
    similarity = vectors @ candidates.T
    np.fill_diagonal(similarity, -np.inf)
    return np.argsort(-similarity, axis=1, kind="stable")[:, :k]


def _chance(old: np.ndarray, found: np.ndarray, overlap: float, candidates: int) -> float:
    """The mean overlap of one row's list in `old` with another row's in `found`, over all pairs of
    rows. `overlap` is that of the same row's lists."""
    rows, k = old.shape
    often = [np.bincount(lists.ravel(), minlength=candidates) for lists in (old, found)]
    shared = float(often[0] @ often[1]) / k - rows * overlap
    return float(max(shared, 0.0) / (rows * (rows - 1)))


def _too_few(pairs: int, rows: int, k: int) -> str | None:
    needed = max(MIN_PAIRS, 2 * k + 1)
    if pairs >= needed:
        return None
    return (
        f"{pairs} of {rows} rows with different texts can be used to fit a bridge, at least "
        f"{needed} are needed: lists of {k} neighbours among fewer rows share half by chance"
    )


def _says_nothing(old: np.ndarray) -> str | None:
    """Whether most vectors are 0, or those of other texts."""
    zero, different = int((~old.any(axis=1)).sum()), len(np.unique(old.round(6), axis=0))
    if zero <= len(old) / 2 <= different:
        return None
    return (
        f"{len(old)} rows with different texts hold {different} different old vectors, and "
        f"{zero} that are 0: no bridge leads to vectors that do not tell texts apart"
    )


def _too_low(overlap: Interval, chance: float, k: int, pairs: int) -> str | None:
    limit = chance + MIN_OVERLAP * (1 - chance)
    if overlap.low >= limit:
        return None
    return (
        f"the bridge's neighbour overlap@{k} is {overlap} on {pairs} held-out rows, where chance "
        f"gives {chance:.3f}: the interval must start at {limit:.3f} or above"
    )


def _label(name: _Map) -> str:
    method, penalty = name
    return method if penalty is None else f"{method} {penalty:g}"

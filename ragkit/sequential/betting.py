"""Whether a mean is above or below a limit, looked at after every observation.

A fixed-n interval that is looked at again and again ends up wrong more often than it says. A test
by betting does not (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by
betting"): whoever bets on each next value that the mean is above the limit cannot win, on average,
if it is not; so a capital of 1 / ERROR has a chance of at most ERROR (Ville's inequality), however
often one looks. The bets are a fixed mixture of stakes, and need no tuning.
"""

from dataclasses import dataclass
from math import ceil, inf, log

import numpy as np
from numpy.typing import ArrayLike

ERROR = 0.05
"""Of each direction, over all looks together."""
LARGEST = 0.98
"""Share of the capital that a bet may lose, with the noise that it takes off."""
STAKES = np.geomspace(0.005, 0.95, 24)
"""Shares of the largest bet that cannot lose everything."""
HALVINGS = 20
"""Of the range, in the search for a bound."""
MAX_MORE = 100_000
"""Observations: what takes more will not be decided."""


@dataclass(frozen=True)
class SequentialResult:
    """What `n` observations show of a mean and of `limit`.

    `above` is True or False once the evidence has decided, at any look, and None before. `low` and
    `high` hold the mean, at whatever look, but for a share of 2 * ERROR. `more` is about how
    many further observations decide, if they are like those before: 0 after a decision, None where
    they do not. `decided_at` counts the observations of the first decision.
    """

    mean: float
    low: float
    high: float
    n: int
    limit: float
    above: bool | None
    decided_at: int | None
    more: int | None


@dataclass(frozen=True)
class Noise:
    """What is known of each value's noise, of shape (n,): on average 0, whatever came before, and
    in size at most `most`, which is known before the value."""

    values: np.ndarray
    most: np.ndarray

    @classmethod
    def none(cls, n: int) -> "Noise":
        return cls(np.zeros(n), np.zeros(n))

    def __neg__(self) -> "Noise":
        return Noise(-self.values, self.most)


def sequential_test(
    values: ArrayLike,
    limit: float,
    bounds: tuple[float, float] = (-1.0, 1.0),
    error: float = ERROR,
    noise: Noise | None = None,
) -> SequentialResult:
    """`values`, of shape (n,), in the order in which they were seen; each lies within `bounds`, and
    so does `limit`, without the ends. `error` takes the place of ERROR, where several tests share
    it. `noise` is taken off, also of the mean. Raises ValueError for others."""
    seen = np.asarray(values, float)
    noise = Noise.none(seen.size) if noise is None else noise
    least, most = bounds
    if not least < limit < most:
        raise ValueError(f"the limit is {limit}, expected a value between {least} and {most}")
    if seen.size and not (least <= seen.min() and seen.max() <= most):
        raise ValueError(f"expected {least} to {most}, got {seen.min()} to {seen.max()}")
    if (np.abs(noise.values) > noise.most).any():
        raise ValueError(f"expected noise of up to {noise.most}, got {noise.values}")
    opposite = -noise
    above = _Bets(seen, limit, least, error, noise)
    below = _Bets(-seen, -limit, -most, error, opposite)
    won = above.won_at() <= below.won_at()
    decided_at = min(above.won_at(), below.won_at())
    is_decided = decided_at < inf
    low = _bound(seen, least, most, error, noise)
    high = -_bound(-seen, -most, -least, error, opposite)
    return SequentialResult(
        mean=float((seen - noise.values).mean()) if seen.size else limit,
        low=max(low, limit) if is_decided and won else low,
        high=min(high, limit) if is_decided and not won else high,
        n=seen.size,
        limit=limit,
        above=won if is_decided else None,
        decided_at=int(decided_at) if is_decided else None,
        more=0 if is_decided else min((b.more() for b in (above, below)), key=_last_if_none),
    )


class _Bets:
    """Bets on each of `values`, in turn, that their mean is above `limit`; none is below `least`.

    `growth` has shape (n, stakes): the logarithm of the capital of each stake after each value.
    """

    def __init__(self, values: np.ndarray, limit: float, least: float, error: float, noise: Noise):
        self._goal = log(1 / error)
        self.growth = np.cumsum(_growth(values, limit, least, noise), axis=0)

    def won_at(self) -> float:
        """How many values had been seen when the capital first reached 1 / error; else inf."""
        reached = np.flatnonzero(_mixture(self.growth) >= self._goal)
        return float(reached[0] + 1) if reached.size else inf

    def more(self) -> int | None:
        """How many values like these are missing; None for more than MAX_MORE."""
        if not len(self.growth):
            return None
        return _missing(self.growth[-1], self.growth[-1] / len(self.growth), self._goal)


def observations_needed(
    values: ArrayLike,
    shares: ArrayLike,
    limit: float,
    least: float = -1.0,
    error: float = ERROR,
) -> int | None:
    """About how many observations show that the mean is above `limit`, where `shares` of them, of
    shape (values,), have these `values`; None for more than MAX_MORE."""
    gains = (np.asarray(values, float) - limit) / (limit - least)
    rates = np.asarray(shares) @ np.log1p(np.outer(gains, STAKES))
    return _missing(np.zeros(len(STAKES)), rates, log(1 / error))


def _missing(growth: np.ndarray, rates: np.ndarray, goal: float) -> int | None:
    """How many more observations reach the goal, by the growth of each stake so far and by each
    one."""
    counts = np.geomspace(1, MAX_MORE, 400)
    reached = np.flatnonzero(_mixture(growth + np.outer(counts, rates)) >= goal)
    return ceil(counts[reached[0]]) if reached.size else None


def _mixture(growth: np.ndarray) -> np.ndarray:
    """The logarithm of the mean capital of all stakes, over the last axis."""
    largest: np.ndarray = growth.max(axis=-1)
    mean: np.ndarray = np.exp(growth - largest[..., None]).mean(axis=-1)
    mixed: np.ndarray = largest + np.log(mean)
    return mixed


def _growth(values: np.ndarray, limit: float, least: float, noise: Noise) -> np.ndarray:
    """By each value, of each stake: of shape (n, stakes). As much of the noise is taken off as a
    stake leaves room for, so that no stake is smaller for it."""
    unit = limit - least
    bets = np.outer((values - limit) / unit, STAKES)
    if noise.most.any():
        with np.errstate(divide="ignore", over="ignore"):
            room = (LARGEST / STAKES - 1) * unit / noise.most[:, None]
        bets -= STAKES * np.minimum(1.0, room) * noise.values[:, None] / unit
    grown: np.ndarray = np.log1p(bets)
    return grown


def _bound(values: np.ndarray, least: float, most: float, error: float, noise: Noise) -> float:
    """The smallest mean that bets on more have not refuted: they gain less, the higher it is."""
    counts: np.ndarray = np.ones(values.size)
    if not noise.most.any():  # few values are distinct, then
        values, counts = np.unique(values, return_counts=True)
        noise = Noise.none(values.size)
    low, high = least, most
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        growth = counts @ _growth(values, middle, least, noise)
        refuted = _mixture(growth) >= log(1 / error)
        low, high = (middle, high) if refuted else (low, middle)
    return low


def _last_if_none(count: int | None) -> float:
    return inf if count is None else count

"""What people say, made less uncertain by what a model says, however wrong the model is.

Prediction-powered inference (Angelopoulos et al. 2023), in blocks. A question that a person judged
is read together with others that only the model labelled. By how much the model's label of the
question differs from the mean of its block is 0 on average, because questions are drawn at random,
and follows what the person says, as far as the model is right. So a share of it is noise that
`sequential_test` takes off: the mean stays the people's. No two blocks share a question, so each
difference is 0 on average whatever came before.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ragkit.sequential.betting import Noise

CAUTION = 2.0
"""Blocks' worth of squared differences by which the share is drawn to 0 at first."""


@dataclass(frozen=True)
class Correction:
    """`noise` of n judgements, for `sequential_test`; `shares`, of shape (n + 1,), are what the
    model had in each of them, and would have in the next."""

    noise: Noise
    shares: np.ndarray


def block_difference(label: float, others: ArrayLike) -> tuple[float, float]:
    """The label of a judged question minus the mean of its block, and how large that can be, for
    labels from -1 to 1. `others` are the labels of the rest of the block: 0 without any."""
    rest = np.asarray(others, float)
    part = rest.size / (rest.size + 1)
    return (part * (label - float(rest.mean())) if rest.size else 0.0), 2 * part


def correct(people: ArrayLike, differences: ArrayLike, widest: ArrayLike) -> Correction:
    """`people`: judgements from -1 to 1. `differences`, and how large each can be, are those of
    `block_difference`; 0 for a judgement without a block. All have shape (n,).

    The share of each is what would have been best for the blocks before it, from 0 to 1: so it
    depends on nothing that it corrects.
    """
    seen, apart, wide = (np.asarray(part, float) for part in (people, differences, widest))
    in_block = wide > 0
    counts = np.maximum(np.cumsum(in_block), 1)
    products = np.cumsum(seen * apart) - np.cumsum(seen * in_block) / counts * np.cumsum(apart)
    best = products / (np.cumsum(apart**2) + CAUTION)
    shares = np.concatenate([[0.0], np.clip(best, 0.0, 1.0)])
    return Correction(Noise(shares[:-1] * apart, shares[:-1] * wide), shares)

"""What a latency is compared with."""

from collections.abc import Sequence

import numpy as np

NOISE_MS = 5.0
"""A smaller difference is noise, whatever the factor."""
RARE = 0.9
"""What one measurement in ten exceeded before the backfill is no sign of it."""


class Baseline:
    """The median of what was measured before the backfill, in ms: one burst does not move it."""

    def __init__(self, measured: Sequence[float], factor: float):
        self.ms = float(np.median(measured))
        self.limit_ms = max(
            factor * self.ms, self.ms + NOISE_MS, float(np.quantile(measured, RARE))
        )

    def is_exceeded_by(self, ms: float) -> bool:
        return ms > self.limit_ms


def p95(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95))

import numpy as np
import pytest

from ragkit.sequential.betting import ERROR
from tests.evaluation.judging.simulated import (
    DIFFERENCES,
    MARGIN,
    SIMULATIONS,
    Clicks,
    fixed_number,
    simulate,
)

SLACK = 3 * np.sqrt(ERROR * (1 - ERROR) / SIMULATIONS)
"""Three standard errors of a share that is ERROR."""


@pytest.fixture(scope="module")
def simulated():
    return {clicks: simulate(clicks) for clicks in map(Clicks.at, DIFFERENCES)}


def test_at_the_margin_a_look_after_every_click_is_rarely_wrong():
    clicks = Clicks.at_the_margin()
    assert clicks.net == pytest.approx(-MARGIN)
    go, no_go, _ = simulate(clicks)
    assert go <= ERROR + SLACK
    assert no_go <= ERROR + SLACK


def test_the_better_the_new_model_the_fewer_clicks(simulated):
    equal, better, best = simulated.values()
    assert equal[2] > better[2] > best[2]
    assert better[0] > 0.95
    assert best[0] > 0.95
    assert all(no_go <= ERROR + SLACK for _, no_go, _ in simulated.values())


def test_a_look_after_every_click_costs_little_more_than_one_at_the_end(simulated):
    """In the median; and whoever looks once has to know the difference before."""
    for clicks, (_, _, median) in simulated.items():
        assert median < 1.6 * fixed_number(clicks)

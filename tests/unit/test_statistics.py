import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from ragkit.comparison.metrics import Interval, interval
from ragkit.comparison.statistics import FEWEST, detectable, differences, needed


def frames(old, new):
    return pd.DataFrame({"m": old, "n": old}), pd.DataFrame({"m": new, "n": old})


def test_a_difference_has_its_parts():
    rng = np.random.default_rng(1)
    old = rng.uniform(0.2, 0.6, 80)
    new = old + rng.normal(0.05, 0.1, 80)
    found, same = differences(*frames(old, new), seed=1)
    assert (found.metric, found.n) == ("m", 80)
    assert found.new - found.old == pytest.approx(found.change.mean)
    assert (found.wins + found.ties + found.losses, found.ties) == (80, 0)
    assert (same.p, same.ties, same.change) == (1.0, 80, Interval(0.0, 0.0, 0.0))
    # Of two metrics one has p = 1, so the correction doubles the other's at most.
    assert found.p / 2 == pytest.approx(ttest_rel(new, old).pvalue, abs=0.002)


def test_a_rerun_gives_the_same_figures():
    rng = np.random.default_rng(2)
    both = frames(rng.uniform(size=30), rng.uniform(size=30))
    assert differences(*both, seed=7) == differences(*both, seed=7)


def test_the_randomisation_test_errs_as_often_as_it_says():
    """Equal models: a p below 0.05 in about 5 %."""
    rng = np.random.default_rng(3)
    found = [
        differences(pd.DataFrame({"m": np.zeros(25)}), pd.DataFrame({"m": rng.normal(size=25)}), 1)
        for _ in range(200)
    ]
    assert sum(each.p < 0.05 for (each,) in found) / 200 <= 0.09


def test_what_is_called_detectable_is_found_four_times_in_five():
    rng = np.random.default_rng(4)
    smallest = detectable(rng.normal(0, 0.2, 2000)) * np.sqrt(2000 / 100)
    seen = [interval(rng.normal(smallest, 0.2, 100), 1).low > 0 for _ in range(300)]
    assert 0.7 <= np.mean(seen) <= 0.9


def test_one_question_shows_nothing():
    assert detectable(np.array([0.5])) is None


def test_how_many_questions_would_decide():
    assert needed(Interval(0.5, 0.3, 0.7), -0.04, 8) == FEWEST
    assert needed(Interval(0.0, -0.08, 0.08), -0.04, 50) == 200  # twice too wide: four times
    assert needed(Interval(-0.04, -0.1, 0.0), -0.04, 50) is None

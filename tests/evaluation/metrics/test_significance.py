import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from ragkit.evaluation.metrics import bootstrap, significance
from ragkit.evaluation.metrics.bootstrap import Interval, bootstrap_interval
from ragkit.evaluation.metrics.significance import (
    MIN_QUESTIONS,
    detectable_difference,
    metric_differences,
    questions_needed,
)


def score_frames(old, new):
    """Metric m differs, metric n does not."""
    return pd.DataFrame({"m": old, "n": old}), pd.DataFrame({"m": new, "n": old})


def test_the_parts_of_a_difference_agree():
    rng = np.random.default_rng(1)
    old = rng.uniform(0.2, 0.6, 80)
    new = old + rng.normal(0.05, 0.1, 80)
    difference, equal = metric_differences(*score_frames(old, new), seed=1)
    assert (difference.metric, difference.n) == ("m", 80)
    assert difference.new - difference.old == pytest.approx(difference.change.mean)
    outcomes = difference.wins + difference.ties + difference.losses
    assert (outcomes, difference.ties) == (80, 0)
    assert (equal.p, equal.ties, equal.change) == (1.0, 80, Interval(0.0, 0.0, 0.0))
    # One of the two metrics has p = 1, so the correction at most doubles the other p.
    assert difference.p / 2 == pytest.approx(ttest_rel(new, old).pvalue, abs=0.002)


def test_the_same_seed_gives_the_same_differences():
    rng = np.random.default_rng(2)
    frames = score_frames(rng.uniform(size=30), rng.uniform(size=30))
    assert metric_differences(*frames, seed=7) == metric_differences(*frames, seed=7)


def test_the_randomisation_test_has_its_nominal_error(monkeypatch):
    """Equal models have p < 0.05 in about 5 % of the comparisons."""
    monkeypatch.setattr(significance, "PERMUTATIONS", 999)  # p in steps of 0.002
    monkeypatch.setattr(bootstrap, "RESAMPLES", 100)  # of the interval, which is not under test
    rng = np.random.default_rng(3)
    old = pd.DataFrame({"m": np.zeros(25)})
    comparisons = [
        metric_differences(old, pd.DataFrame({"m": rng.normal(size=25)}), 1) for _ in range(200)
    ]
    assert sum(difference.p < 0.05 for (difference,) in comparisons) / 200 <= 0.09


def test_a_detectable_difference_is_detected_four_times_in_five():
    rng = np.random.default_rng(4)
    smallest = detectable_difference(rng.normal(0, 0.2, 2000)) * np.sqrt(2000 / 100)
    detected = [bootstrap_interval(rng.normal(smallest, 0.2, 100), 1).low > 0 for _ in range(300)]
    assert 0.7 <= np.mean(detected) <= 0.9


def test_one_question_has_no_detectable_difference():
    assert detectable_difference(np.array([0.5])) is None


def test_questions_needed_follow_the_width_of_the_interval():
    assert questions_needed(Interval(0.5, 0.3, 0.7), -0.04, 8) == MIN_QUESTIONS
    # Twice as wide as allowed: four times as many questions.
    assert questions_needed(Interval(0.0, -0.08, 0.08), -0.04, 50) == 200
    assert questions_needed(Interval(-0.04, -0.1, 0.0), -0.04, 50) is None


def test_one_question_is_no_evidence():
    [difference, _] = metric_differences(*score_frames([0.2], [0.4]), seed=1)
    assert (difference.p, difference.n) == (1.0, 1)

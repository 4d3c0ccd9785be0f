"""People's judgements corrected by a model's labels: how often that is wrong, and what it saves."""

import numpy as np
import pytest

from ragkit.sequential.betting import ERROR, Noise, sequential_test
from ragkit.sequential.corrected import block_difference, correct
from tests.sequential.simulated import ANSWERS, LIMIT, MODELS, RUNS, clicks_taken, judge

LENGTH = 80
SLACK = 3 * np.sqrt(ERROR * (1 - ERROR) / RUNS)
"""Three standard errors of a share that is ERROR."""


@pytest.mark.parametrize("model", MODELS)
def test_however_wrong_the_model_is_the_interval_holds_the_mean_at_every_look(model):
    """The interval leaves the mean out at some look exactly where a test against it decides."""
    rng = np.random.default_rng(1)
    decided = []
    for _ in range(RUNS):
        clicks, noise = judge(rng, model, LIMIT, LENGTH)
        decided.append(sequential_test(clicks, LIMIT, noise=noise).above)
    assert decided.count(True) / RUNS <= ERROR + SLACK  # a wrong GO
    assert decided.count(False) / RUNS <= ERROR + SLACK
    assert decided.count(None) / RUNS >= 0.90


@pytest.mark.parametrize(
    ("model", "least", "most"),
    [("perfect", 0, 0.85), ("wrong in 20 %", 0, 0.95), ("random", 0.95, 1.05), ("constant", 1, 1)],
)
def test_a_model_that_is_often_right_saves_clicks_and_a_useless_one_costs_few(model, least, most):
    alone, beside = clicks_taken(model, 0.16, 150, 200).T
    assert least <= beside.mean() / alone.mean() <= most
    if most < 1:
        assert (beside <= 100).mean() > (alone <= 100).mean()


def test_the_interval_itself_holds_the_mean():
    rng, runs = np.random.default_rng(6), 300
    held = 0
    for _ in range(runs):
        clicks, noise = judge(rng, "half for the new model", 0.16, LENGTH)
        result = sequential_test(clicks, LIMIT, noise=noise)
        held += result.low <= 0.16 <= result.high
    assert held / runs >= 0.90


def test_the_mean_stays_the_peoples():
    rng = np.random.default_rng(4)
    for model in ("half for the new model", "half for the old model"):
        clicks, noise = judge(rng, model, 0.1, 10_000)
        assert np.mean(clicks - noise.values) == pytest.approx(0.1, abs=0.03)
        assert np.var(clicks - noise.values) < 0.9 * np.var(clicks)
        first = Noise(noise.values[:99], noise.most[:99])
        result = sequential_test(clicks[:99], LIMIT, noise=first)
        assert result.mean == np.mean((clicks - noise.values)[:99])


def test_a_share_depends_on_nothing_that_it_corrects():
    rng = np.random.default_rng(5)
    clicks, apart = rng.choice(ANSWERS, 30), rng.uniform(-1.6, 1.6, 30)
    shares = correct(clicks, apart, np.full(30, 1.6)).shares
    clicks[20:], apart[20:] = -1, 1.6
    assert (correct(clicks, apart, np.full(30, 1.6)).shares[:21] == shares[:21]).all()
    assert shares[0] == 0
    assert ((shares >= 0) & (shares <= 1)).all()


def test_a_judgement_without_a_block_counts_as_it_is():
    assert block_difference(1.0, []) == (0.0, 0.0)
    assert block_difference(1.0, [-1.0, 0.0, 1.0]) == (0.75, 1.5)
    correction = correct([1, -1, 1], [0, 0, 0], [0, 0, 0])
    assert not correction.noise.values.any()
    clicks = [1, -1, 1, 1]
    plain = sequential_test(clicks, LIMIT)
    assert sequential_test(clicks, LIMIT, noise=correct(clicks, [0] * 4, [0] * 4).noise) == plain


def test_noise_that_is_larger_than_it_was_said_to_be_is_refused():
    with pytest.raises(ValueError, match="noise"):
        sequential_test([1.0], LIMIT, noise=Noise(np.array([0.5]), np.array([0.4])))

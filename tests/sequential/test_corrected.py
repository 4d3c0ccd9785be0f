"""People's judgements corrected by a model's labels: how often that is wrong, and what it saves."""

import numpy as np
import pytest

from ragkit.sequential.betting import ERROR, Noise, sequential_test
from ragkit.sequential.corrected import block_difference, correct

LIMIT = -0.1
SIMULATIONS, LENGTH, OTHERS = 1000, 100, 4
SLACK = 3 * np.sqrt(ERROR * (1 - ERROR) / SIMULATIONS)
"""Three standard errors of a share that is ERROR."""
SLIPS = 0.1
"""Of clicks; they say the opposite."""
ANSWERS = [1, 0, -1]


def wrong(rng, truth, share):
    return np.where(rng.random(truth.shape) < share, rng.choice([1, -1], truth.shape), truth)


MODELS = {  # from what is true of each question to the labels
    "wrong in 20 %": lambda rng, truth: wrong(rng, truth, 0.2),
    "for the new model": lambda rng, truth: np.where(rng.random(truth.shape) < 0.5, 1, truth),
    "for the old model": lambda rng, truth: np.where(rng.random(truth.shape) < 0.5, -1, truth),
    "random": lambda rng, truth: rng.choice(ANSWERS, truth.shape),
    "constant": lambda rng, truth: np.ones_like(truth),
    "the opposite": lambda rng, truth: -truth,
    "perfect": lambda rng, truth: truth,
}


def judge(rng, model, net, length=LENGTH, equal=0.4, slips=SLIPS):
    """The clicks of people who prefer the new model by `net`, and their noise by the labels."""
    seen = net / (1 - 2 * slips)
    new = (1 - equal + seen) / 2
    truth = rng.choice(ANSWERS, (length, OTHERS + 1), p=[new, equal, 1 - equal - new])
    clicks = np.where(rng.random(length) < slips, -truth[:, 0], truth[:, 0])
    labels = MODELS[model](rng, truth)
    blocks = [block_difference(label, others) for label, *others in labels]
    return clicks, correct(clicks, *zip(*blocks, strict=True)).noise


@pytest.mark.parametrize("model", MODELS)
def test_however_wrong_the_model_is_the_interval_holds_the_mean_at_every_look(model):
    """The interval leaves the mean out at some look exactly where a test against it decides."""
    rng = np.random.default_rng(1)
    decided = []
    for _ in range(SIMULATIONS):
        clicks, noise = judge(rng, model, LIMIT)
        decided.append(sequential_test(clicks, LIMIT, noise=noise).above)
    assert decided.count(True) / SIMULATIONS <= ERROR + SLACK  # a wrong GO
    assert decided.count(False) / SIMULATIONS <= ERROR + SLACK
    assert decided.count(None) / SIMULATIONS >= 0.90


@pytest.mark.parametrize(
    ("model", "least", "most"),
    [("perfect", 0, 0.8), ("wrong in 20 %", 0, 0.9), ("random", 0.95, 1.05), ("constant", 1, 1)],
)
def test_a_model_that_is_often_right_saves_clicks_and_a_useless_one_costs_few(model, least, most):
    rng, length = np.random.default_rng(2), 200
    alone = corrected = 0
    for _ in range(150):
        clicks, noise = judge(rng, model, 0.16, length)
        alone += sequential_test(clicks, LIMIT).decided_at or length
        corrected += sequential_test(clicks, LIMIT, noise=noise).decided_at or length
    assert least <= corrected / alone <= most


def test_after_100_clicks_more_is_decided():
    rng = np.random.default_rng(3)
    alone = corrected = 0
    for _ in range(300):
        clicks, noise = judge(rng, "wrong in 20 %", 0.16)
        alone += sequential_test(clicks, LIMIT).above is True
        corrected += sequential_test(clicks, LIMIT, noise=noise).above is True
    assert corrected / 300 > alone / 300 + 0.05


def test_the_mean_stays_the_peoples():
    rng = np.random.default_rng(4)
    for model in ("for the new model", "for the old model"):
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

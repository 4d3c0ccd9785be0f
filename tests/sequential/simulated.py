"""People who look after every click, beside a model that labels: what it saves.

    python -m tests.sequential.simulated

Each question is better answered by the new model (1), by the old one (-1), or by neither (0). One
click in ten is wrong. Each judged question is in a block with others that only the model labelled.
"""

import numpy as np

from ragkit.sequential.betting import Noise, sequential_test
from ragkit.sequential.corrected import block_difference, correct

LIMIT = -0.1
OTHERS = 4
SLIPS = 0.1
"""Of clicks; they say the opposite."""
ANSWERS = [1, 0, -1]
RUNS, LENGTH = 1000, 300


def replaced(rng, truth, share, labels):
    return np.where(rng.random(truth.shape) < share, labels, truth)


MODELS = {  # from what is true of each question to the labels
    "perfect": lambda rng, truth: truth,
    "wrong in 20 %": lambda rng, truth: replaced(
        rng, truth, 0.2, (truth + 1 + rng.integers(1, 3, truth.shape)) % 3 - 1
    ),
    "half for the new model": lambda rng, truth: replaced(rng, truth, 0.5, 1),
    "half for the old model": lambda rng, truth: replaced(rng, truth, 0.5, -1),
    "random": lambda rng, truth: rng.choice(ANSWERS, truth.shape),
    "constant": lambda rng, truth: np.ones_like(truth),
    "the opposite": lambda rng, truth: -truth,
}


def judge(rng, model: str, net: float, length: int, equal: float = 0.4) -> tuple[np.ndarray, Noise]:
    """The clicks of people who prefer the new model by `net`, and their noise by the labels."""
    new = (1 - equal + net / (1 - 2 * SLIPS)) / 2
    truth = rng.choice(ANSWERS, (length, OTHERS + 1), p=[new, equal, 1 - equal - new])
    clicks = np.where(rng.random(length) < SLIPS, -truth[:, 0], truth[:, 0])
    labels = MODELS[model](rng, truth)
    blocks = [block_difference(label, others) for label, *others in labels]
    return clicks, correct(clicks, *zip(*blocks, strict=True)).noise


def clicks_taken(model: str, net: float, runs: int = RUNS, length: int = LENGTH) -> np.ndarray:
    """To a decision, by people alone and beside the model, of shape (runs, 2)."""
    rng = np.random.default_rng(2)
    taken = []
    for _ in range(runs):
        clicks, noise = judge(rng, model, net, length)
        results = sequential_test(clicks, LIMIT), sequential_test(clicks, LIMIT, noise=noise)
        taken.append([result.decided_at or length + 1 for result in results])
    return np.array(taken)


if __name__ == "__main__":
    print("| model | net | clicks alone, mean | beside it | decided after 100 | beside it |")
    print("|---|---|---|---|---|---|")
    for net in (0.16, 0.4):
        for model in MODELS:
            alone, beside = clicks_taken(model, net).T
            print(
                f"| {model} | {100 * net:+.0f} | {alone.mean():.0f} | {beside.mean():.0f} | "
                f"{(alone <= 100).mean():.2f} | {(beside <= 100).mean():.2f} |",
                flush=True,
            )

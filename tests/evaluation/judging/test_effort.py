"""How many judgements a verdict takes: estimated from rows, and checked against people's."""

import numpy as np
import pytest

from ragkit.evaluation.comparison import compare
from ragkit.evaluation.judging.effort import (
    MIN_ROWS,
    NOTICED,
    effort_of,
    estimate_effort,
    rows_effort,
    simulated_changes,
)
from ragkit.evaluation.questions import read_questions
from ragkit.evaluation.samples import normalise
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from ragkit.sandbox.sample import DATA, QUESTIONS, sample_rows
from ragkit.sequential.betting import sequential_test
from tests.conftest import TEXTS, embedder_of, make_plan, make_table
from tests.stand_ins.recording import RecordingEmbedder

RNG = np.random.default_rng(1)
VECTORS = normalise(RNG.normal(size=(120, 16)))


@pytest.mark.parametrize("model", ["all-minilm-l6-v2", "wordllama-64"])
def test_the_spread_is_that_of_people_s_judgements(engine, model):
    """Within a third, so that the number of judgements is within a factor of two."""
    plan = make_plan({"new.model": model, "evaluation.k": 10, "index.type": "none"})
    make_table(engine, plan, [row["content"] for row in sample_rows()])
    migration, new = Migration.open(plan, engine), embedder_of(model)
    effort = estimate_effort(migration, new)  # before there is a new column
    expand(migration)
    list(run_backfill(migration, new))
    judged = read_questions(QUESTIONS, DATA / "qrels.tsv")
    change = compare(migration, judged, embedder_of(plan.old.model), new).change("nDCG@10")
    assert effort.spread == pytest.approx(change.std(), rel=1 / 3)
    assert effort.preferred == pytest.approx((change.abs() > NOTICED).mean(), abs=0.3)
    assert 0.5 < effort.questions / (2.486 * change.std() / plan.gates.margin) ** 2 < 2


def test_equal_models_change_nothing():
    assert not simulated_changes(VECTORS, VECTORS, 10, 1).any()
    turned = VECTORS @ np.linalg.qr(RNG.normal(size=(16, 16)))[0]
    assert not simulated_changes(VECTORS, turned, 10, 1).any()


def test_the_more_they_differ_the_more_judgements_it_takes():
    noisy = [normalise(VECTORS + share * RNG.normal(size=VECTORS.shape)) for share in (0.05, 0.5)]
    near, far = (
        effort_of(simulated_changes(VECTORS, other, 10, 1), 120, 0.04, 0.1) for other in noisy
    )
    assert near.spread < far.spread
    assert near.questions < far.questions
    assert near.preferred < far.preferred
    assert near.clicks < far.clicks
    assert far.better_clicks < far.clicks
    assert far.better == pytest.approx(far.questions / 4, abs=1)


def test_as_many_clicks_decide_in_the_median():
    changes = RNG.choice([-0.3, 0.0, 0.3], 10_000, p=[0.3, 0.4, 0.3])
    effort = effort_of(changes, 100, 0.04, 0.1)
    took = []
    for _ in range(200):
        clicks = RNG.choice([1, 0, -1], 2000, p=[0.38, 0.4, 0.22])  # 20 more of 100, 1 in 10 slips
        took.append(sequential_test(clicks, -0.1).decided_at)
    assert effort.better_clicks / np.median(took) == pytest.approx(1, rel=0.3)


def test_too_few_rows_tell_nothing(migration, new_embedder):
    assert len(TEXTS) < MIN_ROWS
    assert estimate_effort(migration, new_embedder) is None


def test_each_text_is_embedded_once(engine):
    plan = make_plan({"evaluation.k": 10})
    make_table(engine, plan, [f"Place {n % 40}." for n in range(100)])
    new = RecordingEmbedder(embedder_of(plan.new.model))
    effort = estimate_effort(Migration.open(plan, engine), new)
    assert effort.rows == 40
    assert len(new.texts) == len(set(new.texts)) == 40


def test_questions_for_the_floor_alone():
    """As many as decide in the median."""
    precision, told = rows_effort(3, 0.3)
    assert precision == pytest.approx(0.65)
    runs = RNG.binomial(3, precision, (200, 300)) / 3
    took = [sequential_test(run, 0.3, (0.0, 1.0)).decided_at for run in runs]
    assert told / np.median(took) == pytest.approx(1, rel=0.4)

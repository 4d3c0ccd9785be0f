import numpy as np
import pytest

from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.migration.schema.index.choice import oversampling
from ragkit.migration.schema.index.choice.oversampling import choose_oversampling
from ragkit.retrieval.quantised.bits import factors
from tests.conftest import changed, random_vectors, set_new, with_plan
from tests.migration.schema.index.test_complete import events
from tests.migration.schema.index.test_complete import oversampling as factor_of

ROWS = 2000


@pytest.fixture
def vectors(engine, plan):
    """Random: whose signs say least."""
    changes = {"index.type": "binary", "evaluation.k": 10, "gates.index_recall": 0.9}
    return random_vectors(engine, changed(plan, changes), ROWS)


def test_it_is_the_smallest_that_passes_the_gate(vectors):
    index.build(vectors)
    [event] = events(vectors)
    chosen = choose_oversampling(vectors)
    assert factor_of(vectors) == event["factor"] == chosen.oversampling
    assert 0.9 < chosen.recall == pytest.approx(event["recall"], abs=1e-4)
    assert (chosen.k, chosen.queries) == (10, oversampling.QUERIES)
    assert factors(10)[0] < chosen.oversampling < factors(10)[-1]
    easier = choose_oversampling(with_plan(vectors, {"gates.index_recall": 0.3}))
    assert easier.oversampling < chosen.oversampling
    assert easier.recall < chosen.recall
    hopeless = choose_oversampling(with_plan(vectors, {"gates.index_recall": 1.0}))
    assert hopeless.oversampling > chosen.oversampling


def test_recall_is_what_brute_force_says(vectors):
    """Of the vectors that the column holds."""
    index.build(vectors)
    chosen = choose_oversampling(vectors)
    rows = np.random.default_rng(1).normal(size=(ROWS, 64)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    near, signs = rows @ rows.T, np.where(rows > 0, 1, -1)
    hamming = signs @ signs.T
    shares = []
    for row in range(0, ROWS, 10):
        candidates = np.argsort(-hamming[row], kind="stable")[: 11 * chosen.oversampling]
        best = [r for r in np.argsort(-near[row]) if r != row][:10]
        shares.append(np.isin(best, candidates).mean())
    assert chosen.recall == pytest.approx(np.mean(shares), abs=0.06)


def test_what_was_measured_stays_until_the_plan_says_another(vectors, monkeypatch):
    index.build(vectors)
    first = factor_of(vectors)
    monkeypatch.setattr(oversampling, "choose_oversampling", None)  # it would fail
    index.build(vectors)
    assert factor_of(vectors) == first
    index.build(with_plan(vectors, {"index.oversampling": first * 2}))
    assert factor_of(vectors) == first * 2
    assert len(events(vectors)) == 2


def test_a_table_that_takes_too_long_is_compared_with_the_most_candidates(vectors, monkeypatch):
    index.build(vectors)
    exact = choose_oversampling(vectors)
    for seconds in (0.0, 0.0005):
        monkeypatch.setattr(oversampling, "EXACT_SECONDS", seconds)
        assert choose_oversampling(vectors).recall == pytest.approx(exact.recall, abs=0.05)


def test_an_empty_column_has_a_factor_too(migration):
    plan = with_plan(migration, {"index.type": "binary"})
    expand(plan)
    index.build(plan)
    assert factor_of(plan) == factors(3)[-1]


def test_equal_vectors_are_found_at_once(vectors):
    set_new(vectors, np.ones((ROWS, 64)))
    index.build(vectors)
    assert factor_of(vectors) == factors(10)[0]


def test_an_app_searches_by_the_index_while_the_factor_is_chosen(vectors, monkeypatch):
    """One that is rescued does so as soon as the index is valid, and would read the whole table."""
    seen, choose = [], choose_oversampling

    def watched(migration):
        seen.append(factor_of(migration))
        return choose(migration)

    monkeypatch.setattr(oversampling, "choose_oversampling", watched)
    index.build(vectors)
    assert seen == [oversampling.PROVISIONAL]
    assert len(events(vectors)) == 1


def test_a_choice_that_was_killed_is_made_again(vectors, monkeypatch):
    def die(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(oversampling, "choose_oversampling", die)
        index.build(vectors)
    assert (factor_of(vectors), events(vectors)) == (oversampling.PROVISIONAL, [])
    index.build(vectors)
    assert [event["factor"] for event in events(vectors)] == [factor_of(vectors)]

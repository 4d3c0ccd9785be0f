from dataclasses import replace

import numpy as np
import pytest

from ragkit.comparison.cutoff import recalibrate
from ragkit.errors import SpaceNotReady
from ragkit.migration import schema
from ragkit.migration.subject import Migration
from tests.conftest import make_table
from tests.integration.test_neighbours import set_new

ROWS = 60


@pytest.fixture
def spread(engine, plan):
    """New vectors are random: their distances lie around 1."""
    make_table(engine, plan, [f"Place {n} is a shop number {n * 7919 % 97}." for n in range(ROWS)])
    migration = Migration.open(plan, engine)
    schema.expand(migration)
    set_new(migration, np.random.default_rng(1).normal(size=(ROWS, 64)))
    return migration


def test_as_many_pairs_pass_the_new_cut_off_as_passed_the_old(spread):
    found = recalibrate(spread)
    pairs = ROWS * (ROWS - 1) // 2
    assert (len(found.before), len(found.after)) == (pairs, pairs)
    assert (found.before < found.old).mean() == pytest.approx(found.selectivity)
    assert (found.after < found.new.mean).mean() == pytest.approx(found.selectivity, abs=0.01)
    assert found.new.low <= found.new.mean <= found.new.high


def test_a_rerun_gives_the_same(spread):
    assert recalibrate(spread).new == recalibrate(spread).new


def test_a_space_against_itself_keeps_it(spread):
    """Where both columns hold the same vectors."""
    plan = spread.plan.model_copy(update={"old_column": spread.plan.new_column, "cutoff": 0.9})
    found = recalibrate(replace(spread, plan=plan, old=spread.new))
    assert found.new.mean == pytest.approx(0.9, abs=0.01)


def test_an_empty_column_is_refused_and_another_distance_has_none(migration):
    schema.expand(migration)
    with pytest.raises(SpaceNotReady, match="run the backfill"):
        recalibrate(migration)
    plan = migration.plan.model_copy(update={"distance": "l2"})
    assert recalibrate(replace(migration, plan=plan)) is None

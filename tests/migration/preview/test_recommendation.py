"""The recommendation: the hours, log and disk of both placements, before the backfill begins."""

from dataclasses import replace

import pytest

from ragkit.migration.preview.figures import measure
from ragkit.migration.preview.recommendation import WORTH, recommend
from ragkit.migration.schema.expansion import expand
from tests.conftest import with_plan


@pytest.fixture
def measured(migration, new_embedder):
    return measure(migration, new_embedder)


def with_column(measured, times):
    """The column takes so many times as long as the side table, and the model nothing."""
    placements = measured.trial.placements
    trial = replace(measured.trial, read_seconds=0.0)
    side_table = replace(placements.side_table, seconds=1.0)
    column = replace(placements.column, seconds=times)
    trial = replace(trial, placements=replace(placements, column=column, side_table=side_table))
    return replace(measured, trial=trial, cost=replace(measured.cost, minutes=0.0, rows=7200))


@pytest.mark.parametrize("times", [WORTH * 0.9, WORTH * 1.1])
def test_a_side_table_is_recommended_where_the_column_takes_much_longer(migration, measured, times):
    (check,) = recommend(migration, with_column(measured, times))
    slow = times > WORTH
    assert check.observed.endswith(f"recommended: {'side_table' if slow else 'column'}")
    assert ("set new.placement: side_table" in check.fix) is slow
    assert "side table: 2 hours, " in check.observed
    assert check.passed is None


def test_where_the_model_is_the_limit_the_column_stays(migration, measured):
    slow_model = with_column(measured, 10 * WORTH)
    slow_model = replace(slow_model, cost=replace(slow_model.cost, minutes=100_000.0))
    (check,) = recommend(migration, slow_model)
    assert check.observed.endswith("recommended: column")
    assert check.fix == ""


def test_a_plan_that_has_it_needs_no_advice(migration, measured):
    beside = with_plan(migration, {"new.placement": "side_table"})
    (check,) = recommend(beside, with_column(measured, 10 * WORTH))
    assert check.fix == ""


def test_both_are_told_with_log_and_disk(migration, measured):
    (check,) = recommend(migration, measured)
    assert check.observed.count("of write-ahead log") == check.observed.count("of disk") == 2


def test_once_the_backfill_has_begun_nothing_is_recommended(migration, measured):
    expand(migration)
    assert list(recommend(migration, measured)) == []

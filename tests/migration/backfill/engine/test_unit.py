import pickle
from collections import Counter
from dataclasses import replace

import pytest

from ragkit.errors import PhaseError, SpaceMismatch
from ragkit.migration.backfill.engine import unit as units
from ragkit.migration.migration import Migration
from ragkit.migration.progress.audit import audit
from tests.migration.backfill.engine.conftest import ROWS
from tests.stand_ins.recording import RecordingEmbedder


def test_a_unit_fills_what_it_claims_and_says_when_nothing_is_left(wide, new_embedder):
    done = units.work(wide, new_embedder)
    assert done == units.Done(ROWS, True)
    assert units.work(wide, new_embedder) == units.Done(0, True)
    assert audit(wide).pending == 0


def test_a_unit_whose_time_is_over_leaves_the_other_ranges_and_keeps_none(wide, new_embedder):
    recorder = RecordingEmbedder(new_embedder)
    done = [units.work(wide, recorder, seconds=0.001)]
    assert not done[0].is_last
    assert 0 <= done[0].landed < ROWS
    while not done[-1].is_last:
        done.append(units.work(wide, recorder, seconds=0.2))
    assert sum(one.landed for one in done) == ROWS
    assert set(Counter(recorder.texts).values()) == {1}


def test_a_unit_travels_and_does_the_same_elsewhere(wide, unit):
    unit = replace(unit, unit_seconds=30.0)
    copy = pickle.loads(pickle.dumps(unit))
    assert copy == unit
    assert copy().landed == ROWS


def test_a_unit_before_expand_is_an_error(migration, new_embedder):
    with pytest.raises(PhaseError):
        units.work(migration, new_embedder)


def test_a_unit_with_another_model_is_an_error(wide, old_embedder):
    with pytest.raises(SpaceMismatch):
        units.work(wide, old_embedder)


def test_rows_in_the_queue_are_filled_too(wide, new_embedder, engine):
    units.work(wide, new_embedder)
    with engine.begin() as connection:
        table, content = wide.table, wide.plan.table.content
        connection.execute(table.update().values({content: "Another text."}))
    assert audit(Migration.open(wide.plan, engine)).pending == ROWS
    assert units.work(wide, new_embedder).landed == ROWS

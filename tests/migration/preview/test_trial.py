import pytest
import sqlalchemy as sa

from ragkit.migration.migration import Migration
from ragkit.migration.preview.trial import run_trial
from ragkit.migration.schema import index
from tests.conftest import TEXTS, changed, make_plan, make_table, random_vectors, with_plan

ROWS = 2500


def test_the_index_takes_what_the_trial_says(engine, plan):
    """Of vectors like the trial's, on a table of another size."""
    migration = random_vectors(engine, plan, ROWS)
    trial = run_trial(migration)
    built = index.build(migration)
    assert built.bytes == pytest.approx(trial.index_bytes * ROWS, rel=0.2)
    assert trial.index_seconds > 0
    assert trial.column_bytes > 64 * 4


def test_it_leaves_nothing_behind(migration, engine):
    def relations():
        with engine.connect() as connection:
            return connection.scalar(sa.text("select count(*) from pg_class"))

    before = relations()
    run_trial(migration)
    assert relations() == before


def test_without_an_index_there_is_none_to_measure(migration):
    trial = run_trial(with_plan(migration, {"index.type": "none"}))
    assert (trial.index_bytes, trial.index_seconds) == (0, 0)
    assert trial.read_seconds > 0


def test_ivfflat_is_measured_as_ivfflat(migration):
    hnsw, ivfflat = run_trial(migration), run_trial(with_plan(migration, {"index.type": "ivfflat"}))
    assert 0 < ivfflat.index_bytes < hnsw.index_bytes


def test_an_index_of_bits_takes_what_the_trial_says(engine, plan):
    migration = random_vectors(engine, changed(plan, {"index.type": "binary"}), ROWS)
    trial = run_trial(migration)
    built = index.build(migration)
    assert built.bytes == pytest.approx(trial.index_bytes * ROWS, rel=0.2)


def test_an_index_that_cannot_be_takes_nothing(engine):
    plan = make_plan({"new.model": "tests.stand_ins.wide:Wide"})
    make_table(engine, plan, TEXTS)
    trial = run_trial(Migration.open(plan, engine))
    assert (trial.index_bytes, trial.index_seconds) == (0, 0)
    assert trial.column_bytes > 2 * 4096

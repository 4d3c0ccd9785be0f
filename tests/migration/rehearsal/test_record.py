"""The forecast in the ledger, and the run beside it."""

from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.rehearsal.forecast import Forecast, Measured
from ragkit.migration.rehearsal.record import RunFigures, beside_the_run, record
from ragkit.migration.rehearsal.scratch import make_own_tables
from ragkit.migration.schema.expansion import expand
from tests.conftest import TEXTS, with_plan

MEASURED = Measured(3, 0, 1.0, 0.0, 0, 0, 0.0, 0, 0.0, 0)
FORECAST = Forecast(6, 1, 0.5, "the measured rate", 2, 30, 0.25, 0.1, True, 900, 800)
TOLD = RunFigures("forecast", 6, 1, 0.5, 0.1, 800, 0.25)


def test_without_a_rehearsal_there_is_nothing_to_show(migration):
    assert beside_the_run(migration) == []


def test_a_forecast_stands_beside_the_run_as_far_as_it_is(migration, new_embedder):
    make_own_tables(migration.engine)
    record(migration, MEASURED, FORECAST)
    assert beside_the_run(migration) == [TOLD, RunFigures("run")]
    expand(migration)
    assert beside_the_run(migration)[1] == RunFigures("run", usd=0.0)
    list(run_backfill(migration, new_embedder))
    run = beside_the_run(migration)[1]
    assert (run.rows, run.dead_letters, run.index_bytes) == (len(TEXTS), 0, None)
    assert run.backfill_minutes > 0


def test_the_forecast_of_another_model_is_not_that_of_this_run(migration):
    make_own_tables(migration.engine)
    record(migration, MEASURED, FORECAST)
    for changes in ({"new.model": "text-embedding-005"}, {"new.placement": "side_table"}):
        assert beside_the_run(with_plan(migration, changes)) == []

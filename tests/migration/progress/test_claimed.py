from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.progress.claimed import missing_in_claims
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work import sweep
from ragkit.migration.work.workers import working
from tests.conftest import TEXTS


def count(migration):
    with migration.engine.connect() as connection:
        return missing_in_claims(connection, migration)


def test_rows_of_ranges_that_somebody_holds_are_counted(migration, new_embedder):
    expand(migration)
    sweep.begin(migration)
    assert count(migration) == 0
    with working(migration.engine, "backfill") as worker:
        claimed = sweep.claim(migration, worker)
        assert count(migration) == len(TEXTS)
        sweep.finish(migration, worker, claimed)
    list(run_backfill(migration, new_embedder))
    assert count(migration) == 0

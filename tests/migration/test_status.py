from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.schema.expansion import expand
from ragkit.migration.status import read_status


def test_the_status_follows_the_phases(migration, new_embedder):
    planned = read_status(migration, None)
    assert (planned.phase, planned.done, planned.total) == ("planned", 0, 6)
    assert planned.serving is None
    expand(migration)
    assert read_status(migration, "m").phase == "expanded"
    list(run_backfill(migration, new_embedder))
    backfilled = read_status(migration, "m")
    assert (backfilled.phase, backfilled.done, backfilled.serving) == ("backfilled", 6, "m")
    assert "notebook 03" in backfilled.next_step

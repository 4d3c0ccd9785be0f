import sqlalchemy as sa

from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.control.settings import change_settings
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


def test_the_status_says_what_people_have_set(migration):
    expand(migration)
    assert read_status(migration, None).control is None
    change_settings(migration, "pause", paused=True)
    assert read_status(migration, None).control.startswith("paused (by ")
    with migration.engine.begin() as connection:
        connection.execute(sa.text("update ragkit.control set pace = 0"))
    assert "ragkit control reset" in read_status(migration, None).control

import sqlalchemy as sa

from ragkit.migration import ledger, phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.retirement import drop_old_column
from ragkit.migration.schema.expansion import keep_old_column_current


def test_a_dropped_old_column_leaves_no_trigger(filled):
    """A trigger that names a dropped column would fail every write of the app."""
    with filled.engine.begin() as connection:
        ledger.record(connection, filled.id, phases.CUT_OVER)
    keep_old_column_current(filled)
    with filled.engine.begin() as connection:
        drop_old_column(connection, filled)
    with filled.engine.begin() as connection:
        edit = sa.text('update "Amenities" set content = :text where id = 1')
        connection.execute(edit, {"text": "Edited after."})
        is_cleared = sa.text('select "new vector" is null from "Amenities" where id = 1')
        assert connection.scalar(is_cleared) is True


def test_after_it_a_backfill_fills_what_is_written(filled, new_embedder):
    with filled.engine.begin() as connection:
        ledger.record(connection, filled.id, phases.CUT_OVER)
        drop_old_column(connection, filled)
        connection.execute(sa.text("update \"Amenities\" set content = 'After.' where id = 1"))
    list(run_backfill(filled, new_embedder))
    with filled.engine.connect() as connection:
        missing = sa.text('select count(*) from "Amenities" where "new vector" is null')
        assert connection.scalar(missing) == 0

import sqlalchemy as sa

from ragkit.database.connecting import describe
from ragkit.migration import ledger, phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.retirement import drop_old_column, retire
from ragkit.migration.schema.expansion import expand, keep_old_column_current
from ragkit.runbook import Runbook
from tests.migration.shapes import make_shaped, shaped_plan


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


def test_a_column_that_other_rows_use_is_not_dropped(engine, new_embedder, monkeypatch, tmp_path):
    """A filter migrates some rows; the old column is that of all."""
    monkeypatch.setenv("DATABASE_URL", engine.url.render_as_string())
    make_shaped(engine)
    changes = {
        "database.expect": describe(engine.url), "old.retire": True, "index.type": "none",
        "app.target": "none", "app.confirmed": "Ana, 14:00",
    }  # fmt: skip
    runbook = Runbook(shaped_plan(**changes), tmp_path)
    expand(runbook.migration)
    list(run_backfill(runbook.migration, new_embedder))
    runbook.migration.record(phases.CUT_OVER)
    done = retire(runbook.migration, runbook.app)
    assert done.done
    assert "embedding stays for the rows outside of table.where" in done.message
    with engine.connect() as connection:
        kept = sa.text("select count(embedding) from \"Amenities\" where collection <> 'a'")
        assert connection.scalar(kept) == 1

import pytest

from ragkit.migration.backfill import old_snapshots
from ragkit.migration.backfill.old_snapshots import OldSnapshots
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.schema.expansion import expand


@pytest.fixture
def reader(migration, monkeypatch):
    """An application in a transaction that has read, and goes on for long."""
    monkeypatch.setattr(old_snapshots, "OLD_SECONDS", 0.0)
    with migration.engine.connect() as app:
        app.execution_options(isolation_level="REPEATABLE READ")
        pid = app.exec_driver_sql("select pg_backend_pid()").scalar()
        yield app, pid


def test_an_old_snapshot_is_named_once(migration, reader, caplog):
    app, pid = reader
    snapshots = OldSnapshots(migration, iter(range(0, 1000, 30)).__next__)
    assert snapshots.look().startswith(f"pid {pid} (retrieval-service) keeps")
    assert snapshots.look().startswith(f"pid {pid} ")
    app.rollback()
    assert snapshots.look() == ""
    assert [r.message.split(" has held")[0] for r in caplog.records] == [
        f"pid {pid} (retrieval-service)"
    ]


def test_a_young_one_is_none(migration, reader, monkeypatch):
    monkeypatch.setattr(old_snapshots, "OLD_SECONDS", 3600.0)
    assert OldSnapshots(migration).look() == ""


def test_it_looks_rarely(migration, reader):
    app, _ = reader
    snapshots = OldSnapshots(migration)
    found = snapshots.look()
    app.rollback()
    assert snapshots.look() == found


def test_the_progress_says_so(migration, new_embedder, reader):
    _, pid = reader
    expand(migration)
    steps = list(run_backfill(migration, new_embedder))
    assert any(step.waiting.startswith(f"pid {pid} ") for step in steps)

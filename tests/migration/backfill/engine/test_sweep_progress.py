import pytest
import sqlalchemy as sa

from ragkit.migration.backfill.engine import sweep_progress
from ragkit.migration.backfill.engine.sweep_progress import SweepProgress
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.work import sweep
from ragkit.migration.work.workers import working
from tests.migration.backfill.engine.conftest import ROWS


def test_rows_of_a_range_count_one_by_one_and_all_of_them_at_the_end(wide, new_embedder):
    progress = SweepProgress(wide)
    assert (progress.look().done, progress.look().total) == (0, ROWS)
    with working(wide.engine, "backfill") as worker:
        claimed = sweep.claim(wide, worker)
        some = sa.text(
            f'update {wide.quoted_table} set "new vector" = array_fill(1, array[64])::vector '
            "where id <= 20"
        )
        with wide.engine.begin() as connection:
            connection.execute(some)
        assert progress.look(is_end=True).done == pytest.approx(20, abs=5)
        assert claimed.first == 0
    list(run_backfill(wide, new_embedder))
    assert progress.look(is_end=True).done == ROWS


def test_it_never_falls_when_the_table_is_walked_again(wide, new_embedder):
    progress = SweepProgress(wide)
    list(run_backfill(wide, new_embedder))
    assert progress.look(is_end=True).done == ROWS
    with wide.engine.begin() as connection:
        sweep.restart(connection, wide)
    sweep.begin(wide)
    assert progress.look(is_end=True).done == ROWS


def test_the_table_is_not_counted_more_often_than_it_may_cost(wide, new_embedder, monkeypatch):
    monkeypatch.setattr(sweep_progress, "SHARE", 1e-6)
    progress = SweepProgress(wide)
    progress.look()
    list(run_backfill(wide, new_embedder))
    assert progress.look().done == 0
    assert progress.look(is_end=True).done == ROWS


def test_a_filled_table_is_complete_from_the_start(wide, new_embedder):
    list(run_backfill(wide, new_embedder))
    step = SweepProgress(wide).look("paused", workers=2)
    assert (step.done, step.total, step.waiting, step.workers) == (ROWS, ROWS, "paused", 2)

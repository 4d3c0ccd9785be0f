import pytest

from ragkit.errors import ConfigError, PhaseError
from ragkit.migration import phases
from ragkit.runbook.engines.fill import fill
from ragkit.runbook.runbook import Runbook
from tests.conftest import changed, free_port
from tests.migration.backfill.vectors import check_vectors
from tests.runbook.engines.conftest import ROWS

pytestmark = pytest.mark.timeout(120)


def of(runbook: Runbook, **settings) -> Runbook:
    changes = {f"backfill.{name}": value for name, value in settings.items()}
    return Runbook(changed(runbook.plan, changes), runbook.run_dir)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_the_column_is_complete_by_processes_of_this_machine(runbook, new_embedder, workers):
    runbook = of(runbook, workers=workers)
    steps = list(fill(runbook))
    assert max(step.workers for step in steps) == (workers if workers > 1 else 0)
    assert steps[-1].done == ROWS
    assert runbook.migration.phase() == phases.BACKFILLED
    check_vectors(runbook.migration, new_embedder)


def test_the_column_is_complete_by_dask(runbook, cluster, new_embedder):
    runbook = of(runbook, engine="dask", address=cluster.address)
    steps = list(fill(runbook))
    assert max(step.workers for step in steps) == 2
    assert runbook.migration.phase() == phases.BACKFILLED
    check_vectors(runbook.migration, new_embedder)


@pytest.mark.parametrize("name", ["local", "dask"])
def test_no_worker_is_started_where_the_table_is_walked(runbook, name):
    list(fill(runbook))
    nobody = of(runbook, engine=name, address=f"tcp://127.0.0.1:{free_port()}", workers=2)
    steps = list(fill(nobody))
    assert max(step.workers for step in steps) == 0
    assert steps[-1].done == ROWS
    assert runbook.migration.phase() == phases.BACKFILLED


def test_more_workers_than_the_server_has_room_for_are_refused(runbook):
    with pytest.raises(ConfigError, match=r"501 processes need up to .* start at most"):
        list(fill(of(runbook, workers=500)))


def test_before_expand_nobody_is_started(engine, plan, amenities, tmp_path):
    url = engine.url.render_as_string()
    plan = changed(plan, {"database.url": url, "backfill.workers": 2})
    with pytest.raises(PhaseError):
        list(fill(Runbook(plan, tmp_path)))

import pytest

from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from ragkit.runbook.runbook import Runbook
from tests.conftest import TEXTS, changed, make_table
from tests.stand_ins import dask

ROWS = 900


@pytest.fixture(scope="package")
def cluster(tmp_path_factory):
    with dask.serving(tmp_path_factory.mktemp("dask"), 2, "--no-nanny") as cluster:
        yield cluster


@pytest.fixture
def runbook(engine, plan, tmp_path) -> Runbook:
    """Of a table of several ranges."""
    url = engine.url.render_as_string()
    settings = {"backfill.batch_size": 16, "backfill.in_flight": 2, "database.url": url}
    plan = changed(plan, settings)
    make_table(engine, plan, [f"{text} {n}." for n in range(ROWS // 6) for text in TEXTS])
    expand(Migration.open(plan, engine))
    return Runbook(plan, tmp_path)

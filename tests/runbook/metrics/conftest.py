"""A metered model, a runbook whose database can fall silent, and scrapes of its figures."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.providers.vertex import VertexEmbedder
from ragkit.migration.migration import Migration
from ragkit.runbook.metrics.endpoint import serving
from ragkit.runbook.runbook import Runbook
from tests.conftest import ROLE, changed, make_plan, make_table
from tests.stand_ins import silent

PLACES = [f"Place {n} is a shop. Wool." for n in range(40)]
BUDGET = 1.0

Scrape = Callable[[], dict[tuple[str, ...], float]]


@pytest.fixture
def embedder(vertex):
    env = {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address}
    return VertexEmbedder(find_model("text-embedding-005"), env)


@pytest.fixture
def proxy(database):
    with silent.serving(database.query["unix_sock"]) as proxy:
        yield proxy


@pytest.fixture
def runbook(engine, database, proxy, tmp_path) -> Iterator[Runbook]:
    host, port = proxy.address
    name = database.database.replace(" ", "%20")
    plan = make_plan({
        "database.url": f"postgresql+pg8000://{ROLE}@{host}:{port}/{name}",
        "new.model": "text-embedding-005", "backfill.budget_usd": BUDGET,
        "backfill.batch_size": 10,
    })  # fmt: skip
    make_table(engine, plan, PLACES)
    yield (runbook := Runbook(plan, tmp_path))
    runbook.engine.dispose()


@pytest.fixture
def migration(runbook, engine) -> Migration:
    """Of the runbook, by a way that never falls silent."""
    return Migration.open(changed(runbook.plan, {"database.url": "env"}), engine)


@pytest.fixture
def scrape(runbook) -> Iterator[Scrape]:
    with serving([runbook], "127.0.0.1", 0) as address:
        yield lambda: samples(address)


def samples(address: str) -> dict[tuple[str, ...], float]:
    """By name and the values of the labels, without the migration's."""
    answer = httpx.get(address, timeout=15)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *(v for k, v in sorted(sample.labels.items()) if k != "migration")):
            sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }  # fmt: skip

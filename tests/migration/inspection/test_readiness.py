import re
from datetime import date

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.load import load_embedder
from ragkit.embedding.providers.vertex import VertexEmbedder
from ragkit.migration.inspection.cost import CostEstimate
from ragkit.migration.inspection.readiness import check_readiness
from ragkit.migration.inspection.whose.identification import identify
from ragkit.migration.inspection.whose.vector_sample import sample_old

TODAY = date(2026, 11, 23)


def embedder(vertex, name="text-embedding-005"):
    return VertexEmbedder(
        find_model(name), {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address}
    )


def readiness_checks(migration, old, new, today=TODAY):
    """By their names."""
    estimate = CostEstimate(1000, 4, 10_000, 0.001, "2026-11-01", 0.1)
    names = (migration.plan.old.model,)
    identification = identify(sample_old(migration), names)
    checks = check_readiness(migration, old, new, estimate, identification, today)
    return {check.name: check for check in checks}


def test_the_quota_is_compared_with_the_number_of_requests(migration, vertex):
    check = readiness_checks(migration, None, embedder(vertex))["quota"]
    assert "4 requests at 1,500 requests a minute" in check.observed


def test_the_extension_the_disk_and_the_old_model_are_checked(migration):
    local = load_embedder("wordllama-256")
    checks = readiness_checks(migration, local, local)
    assert checks["pgvector"].passed
    assert "more, the database has" in checks["disk"].observed
    assert checks["old model"].passed


def test_it_is_said_for_how_many_processes_the_server_has_connections(migration):
    local = load_embedder("wordllama-256")
    check = readiness_checks(migration, local, local)["connections"]
    assert re.search(r"max_connections leaves \d+: room for [1-9]\d* processes", check.observed)
    assert (check.passed, check.fix) == (None, "")

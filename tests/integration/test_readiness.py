from datetime import date

from ragkit.embedders import load
from ragkit.embedders.vertex import VertexEmbedder
from ragkit.migration import cost
from ragkit.migration.readiness import readiness
from ragkit.models import find

TODAY = date(2026, 11, 23)


def embedder(vertex, name="text-embedding-005"):
    return VertexEmbedder(find(name), {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address})


def found(migration, old, new, today=TODAY):
    estimate = cost.Cost(1000, 4, 10_000, 0.001, "2026-11-01", 0.1)
    return {check.name: check for check in readiness(migration, old, new, estimate, today)}


def test_a_model_that_ends_within_a_year_is_a_warning_with_the_date(migration, vertex):
    check = found(migration, None, embedder(vertex))["text-embedding-005 retires"]
    assert "2027-04-01, in 129 days" in check.found
    assert (check.passed, "params/next.yaml" in check.way_out) == (True, True)


def test_one_that_has_ended(migration, vertex):
    gecko = embedder(vertex, "textembedding-gecko@001")
    assert "it did" in found(migration, gecko, gecko)["textembedding-gecko@001 retires"].found


def test_a_new_model_that_does_not_answer_says_why(migration, vertex):
    vertex.retired = {"text-embedding-005"}
    check = found(migration, None, embedder(vertex))["new model"]
    assert (check.passed, "retired" in check.found) == (False, True)


def test_quota_against_the_number_of_requests(migration, vertex):
    assert "4 requests, 1,500 a minute" in found(migration, None, embedder(vertex))["quota"].found


def test_the_database(migration):
    local = load("wordllama-256")
    checks = found(migration, local, local)
    assert checks["pgvector"].passed
    assert "more, the database has" in checks["disk"].found
    assert checks["old model"].passed

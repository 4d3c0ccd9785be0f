import json

import pytest

from ragkit.deploy.project_checks import Check
from ragkit.migration.preview.figures import measure
from ragkit.migration.preview.preview import make_preview
from tests.conftest import TEXTS


@pytest.fixture
def preview(migration, new_embedder):
    checks = [Check("pgvector", "0.8.5", True), Check("new model", "retired", False, "another")]
    return make_preview(migration, measure(migration, new_embedder), checks)


def test_it_holds_everything_that_a_reviewer_asks_for(preview, migration):
    document = json.loads(json.dumps(preview.as_json()))
    assert document["format"] == 1
    assert document["figures"]["rows"] == document["texts"]["rows"] == len(TEXTS)
    assert document["migration"] == migration.id
    assert document["database"] == migration.database
    assert document["plan"]["table"]["name"] == "Amenities"
    assert [finding["rule"] for finding in document["findings"]] == ["RK020"]
    assert any("new vector vector(64)" in text for text in document["visible"])
    limits = {limit["gate"]: limit["limit"] for limit in document["limits"]}
    assert limits["margin"] == f"{migration.plan.gates.margin}"
    assert "override" not in limits


def test_durations_stand_beside_the_long_statements(preview):
    by_start = {s.sql.split()[0]: s.duration for s in preview.statements if "vector" in s.sql}
    assert by_start["update"].startswith("about ")

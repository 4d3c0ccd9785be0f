import json
import re
from dataclasses import replace

import pytest

from ragkit.deploy.project_checks import Check
from ragkit.migration.preview.figures import measure
from ragkit.migration.preview.preview import make_preview
from tests.conftest import TEXTS, changed


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
    assert not [text for text in document["visible"] if "canary" in text]


def test_where_a_canary_will_run_it_says_what_that_takes(migration, new_embedder):
    plan = changed(migration.plan, {"app.target": "cloud", "app.function": "f"})
    cloud = replace(migration, plan=plan)
    preview = make_preview(cloud, measure(cloud, new_embedder), [])
    limits = {limit.gate: limit.limit for limit in preview.limits}
    assert limits["canary.errors"] == "0.02"
    first, second = (text for text in preview.visible if text.startswith("canary: "))
    assert re.search(
        r"about \d+ comparisons .*: [\d,]+ requests at 5 %, [\d,]+ requests at 50 %", first
    )
    assert re.search(r"fails 2 points more often goes back after about \d+ comparisons", second)


def test_durations_stand_beside_the_long_statements(preview):
    by_start = {s.sql.split()[0]: s.duration for s in preview.statements if "vector" in s.sql}
    assert by_start["update"].startswith("about ")

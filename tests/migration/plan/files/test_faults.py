"""Unknown fields, and the fields of version 0.1, whose params files had no sections."""

import pytest

from ragkit.errors import PlanError
from ragkit.migration.plan import Plan
from ragkit.migration.plan.files.faults import FLAT_FIELDS
from ragkit.migration.plan.section import fields

FLAT_FILE = {
    "database": "sandbox", "table": "amenities", "category": "category",
    "old_model": "wordllama-256", "old_column": "embedding", "new_model": "all-minilm-l6-v2",
    "new_column": "embedding_minilm", "app": "local", "app_port": 8080, "gate_margin": 0.04,
}  # fmt: skip


def test_every_field_of_a_flat_file_is_reported_with_its_new_name():
    with pytest.raises(PlanError) as error:
        Plan.of(FLAT_FILE)
    text = "; ".join(error.value.faults)
    for name in FLAT_FILE:
        assert f"now {FLAT_FIELDS[name]}" in text, name


def test_every_new_name_is_a_field_of_the_plan():
    assert set(FLAT_FIELDS.values()) <= {path for path, _ in fields(Plan)}


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"tables": {}}, "unknown field 'tables' (did you mean table?)"),
        ({"gates": {"k": 3}}, "unknown field 'gates.k' (did you mean evaluation.k?)"),
        ({"gates": {"marign": 3}}, "unknown field 'gates.marign' (did you mean gates.margin?)"),
        ({"xyzzy": 1}, "unknown field 'xyzzy'"),
    ],
)
def test_an_unknown_field_is_reported_with_the_most_similar_one(sections, message):
    with pytest.raises(PlanError) as error:
        Plan.of(sections)
    assert message in error.value.faults

"""The plan of the tests, and plans that differ from it. Cheap to import, for tests' processes."""

from collections.abc import Mapping
from typing import Any

from ragkit.migration.plan import Plan

OLD, NEW = "wordllama-256", "tests.stand_ins.letters:Letters"


def make_plan(changes: Mapping[str, Any] | None = None) -> Plan:
    """A plan of the table "Amenities": its mixed case shows a missing quote. `changes` are by
    "section.field"."""
    return changed(
        Plan.of(
            {
                "table": {"name": "Amenities", "key": "id", "content": "content", "label": "name"},
                "old": {"model": OLD, "column": "embedding"},
                "new": {"model": NEW, "column": "new vector"},
                "backfill": {"batch_size": 2, "in_flight": 1},
                "evaluation": {"k": 3},
                "app": {"smoke_question": "restaurants"},
            }
        ),
        changes or {},
    )


def changed(plan: Plan, changes: Mapping[str, Any]) -> Plan:
    """The plan with other values, by "section.field"."""
    for path, value in changes.items():
        section, _, field = path.partition(".")
        field = {"schema": "schema_name"}.get(field, field)
        assert field in type(getattr(plan, section)).model_fields, path
        part = getattr(plan, section).model_copy(update={field: value})
        plan = plan.model_copy(update={section: part})
    return plan

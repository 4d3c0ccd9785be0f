import pytest

from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from tests.conftest import TEXTS, changed, make_table
from tests.migration.backfill.engine.units import NotedUnit

ROWS = 900


@pytest.fixture
def wide(engine, plan) -> Migration:
    """A table of several ranges."""
    plan = changed(plan, {"backfill.batch_size": 16, "backfill.in_flight": 2})
    make_table(engine, plan, [f"{text} {n}." for n in range(ROWS // 6) for text in TEXTS])
    migration = Migration.open(plan, engine)
    expand(migration)
    return migration


@pytest.fixture
def unit(wide, tmp_path) -> NotedUnit:
    return NotedUnit(wide.plan, wide.engine.url.render_as_string(), tmp_path / "asked.jsonl")

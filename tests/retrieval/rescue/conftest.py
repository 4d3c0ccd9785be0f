import pytest

from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from ragkit.retrieval.rescue.plan import RescuePlan, write_plan
from tests.conftest import TEXTS, make_table, with_plan


@pytest.fixture(params=["column", "side_table"])
def rescued(request, engine, plan) -> Migration:
    """Expanded, with a rescue in the contract, and without a new vector."""
    make_table(engine, plan, [*TEXTS, None])
    migration = with_plan(Migration.open(plan, engine), {"new.placement": request.param})
    migration = Migration.open(migration.plan, engine)
    expand(migration)
    with engine.begin() as connection:
        write_plan(connection, migration.new, make_rescue(migration))
    return migration


def make_rescue(migration, **changes) -> RescuePlan:
    names = migration.plan.table
    fields = {
        "space": migration.new.space.fingerprint, "key": names.key, "key_type": "integer",
        "content": names.content, "language": "english", **changes,
    }  # fmt: skip
    return RescuePlan(**fields)

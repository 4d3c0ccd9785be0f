"""A table of one row a page, and a place for its copy."""

import pytest

from ragkit.migration.migration import Migration
from ragkit.migration.rehearsal.scratch import SCRATCH
from tests.conftest import changed, make_table

ROWS = 600


@pytest.fixture
def pages(engine, plan):
    """Its migration."""
    make_table(engine, plan, [f"Place {n}." for n in range(ROWS)])
    with engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" add pad text, set (fillfactor = 10)')
        connection.exec_driver_sql('alter table "Amenities" alter pad set storage plain')
        connection.exec_driver_sql("update \"Amenities\" set pad = repeat('x', 5000)")
        connection.exec_driver_sql(f"create schema {SCRATCH}")
    return Migration.open(changed(plan, {"database.lock_timeout_ms": 200}), engine)

import pytest

from ragkit.migration.migration import Migration
from tests.conftest import TEXTS, make_table

LONG_TEXT = "long " * 300


@pytest.fixture
def flawed(engine, plan) -> Migration:
    """A zero vector, a vector of another length, a NULL and a duplicate among the old vectors;
    a NULL, a blank and a long text."""
    make_table(engine, plan, [*TEXTS, None, "   ", LONG_TEXT])
    with engine.begin() as connection:
        run = connection.exec_driver_sql
        run('update "Amenities" set embedding = array_fill(0, array[256])::vector where id = 1')
        run('update "Amenities" set embedding = array_fill(1, array[256])::vector where id = 2')
        run('update "Amenities" set embedding = null where id = 3')
        run('update "Amenities" a set embedding = b.embedding from "Amenities" b '
            "where a.id = 4 and b.id = 5")  # fmt: skip
    return Migration.open(plan, engine)

import pytest
import sqlalchemy as sa

from ragkit.errors import SchemaError
from ragkit.migration.migration import Migration
from tests.conftest import make_plan

TABLE = """create table "Amenities" (id {} not null, name text, content text,
    embedding vector(256))"""


def fault(engine, kind):
    with engine.begin() as connection:
        connection.exec_driver_sql(TABLE.format(kind))
    with pytest.raises(SchemaError) as raised:
        Migration.open(make_plan(), engine)
    return str(raised.value)


@pytest.mark.parametrize("kind", ["json", "point", "xid"])
def test_a_key_whose_type_has_no_order_is_told(engine, kind):
    assert f"'id' is {kind}, a type without an order" in fault(engine, kind)


@pytest.mark.parametrize("kind", ["integer", "character varying(9)", "text[]", "mood"])
def test_another_key_that_is_not_unique(engine, kind):
    with engine.begin() as connection:
        connection.execute(sa.text("create type mood as enum ('good')"))
    assert "choose or create such a key" in fault(engine, kind)

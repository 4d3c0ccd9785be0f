import pytest
import sqlalchemy as sa

from ragkit.errors import DamagedContract
from ragkit.retrieval.rescue.plan import RESCUE, _checksum, read_plan, remove_plan, write_plan
from tests.retrieval.rescue.conftest import make_rescue


def test_what_was_written_is_read(rescued, engine):
    with engine.begin() as connection:
        assert read_plan(connection, rescued.new) == make_rescue(rescued)
        write_plan(connection, rescued.new, make_rescue(rescued, rerank=50))
        assert read_plan(connection, rescued.new).rerank == 50
        assert read_plan(connection, rescued.old) is None
        remove_plan(connection, rescued.new)
        assert read_plan(connection, rescued.new) is None


def test_a_database_without_a_rescue_has_none(filled, engine):
    with engine.begin() as connection:
        remove_plan(connection, filled.new)
        assert read_plan(connection, filled.new) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("plan = replace(plan, 'english', 'german')", "does not have its checksum"),
        ("checksum = 'x'", "does not have its checksum"),
        ("version = 2", "has version 2, this ragkit reads 1"),
        ("table_name = 'public.Amenities', column_name = 'embedding'", "its checksum"),
    ],
)
def test_one_that_was_changed_is_refused(rescued, engine, change, says):
    binding = rescued.old if "column_name" in change else rescued.new
    with engine.begin() as connection:
        connection.execute(sa.text(f"update ragkit.rescue set {change}"))
        with pytest.raises(DamagedContract, match=says):
            read_plan(connection, binding)


def test_one_of_another_space_is_refused(rescued, engine):
    with engine.begin() as connection:
        write_plan(connection, rescued.new, make_rescue(rescued, space="other"))
        with pytest.raises(DamagedContract, match="is of space other"):
            read_plan(connection, rescued.new)


@pytest.mark.parametrize("text", ['{"space": "x"}', '{"of a newer ragkit": 1}', "null", "no JSON"])
def test_one_with_other_fields_is_refused(rescued, engine, text):
    values = {"plan": text, "checksum": _checksum(rescued.new, text)}
    with engine.begin() as connection:
        connection.execute(sa.update(RESCUE).values(values))
        with pytest.raises(DamagedContract, match="other fields than this ragkit knows"):
            read_plan(connection, rescued.new)

import pytest
import sqlalchemy as sa

from ragkit.migration.migration import Migration
from ragkit.migration.partitions.leaf import LeafGone, of_leaves, unless_gone
from tests.conftest import TEXTS, changed
from tests.migration.partitions.tables import RANGE, expanded, run


def leaves_of(migration):
    with migration.engine.connect() as connection:
        return {leaf.leaf.name: leaf for leaf in of_leaves(connection, migration)}


def keys(migration):
    with migration.engine.connect() as connection:
        return set(connection.scalars(migration.select(migration.key)))


@pytest.mark.parametrize("dimensions", ["known", "asked"])
def test_its_queries_read_that_leaf_alone(engine, plan, dimensions):
    migration = expanded(engine, plan, TEXTS, RANGE)
    if dimensions == "asked":
        migration = Migration(plan, engine, None, None, migration.terms)
        assert migration.new.space.dimension == 64
    leaves = leaves_of(migration)
    assert {name: keys(leaf) for name, leaf in leaves.items()} == {
        "low": {1, 2, 3}, "high": {4, 5, 6}
    }  # fmt: skip
    leaf = leaves["low"]
    assert (leaf.id, leaf.plan, leaf.quoted_table) == (migration.id, plan, "public.low")
    assert leaf.is_partition
    assert vars(leaf).get("known_new") == migration.new


def test_a_plain_table_is_no_partition(migration):
    (leaf,) = leaves_of(migration).values()
    assert (keys(leaf), leaf.is_partition) == (keys(migration), False)


def test_a_partition_that_is_gone_is_told_from_other_errors(engine, plan, migration):
    plain = next(iter(leaves_of(migration).values()))
    run(engine, 'drop table "Amenities"')
    with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError), unless_gone(plain):
        connection.execute(plain.select(plain.key))
    parted = changed(plan, {})
    low = leaves_of(expanded(engine, parted, TEXTS, RANGE))["low"]
    run(engine, "drop table low")
    with engine.connect() as connection, pytest.raises(LeafGone), unless_gone(low):
        connection.execute(low.select(low.key))
    with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError), unless_gone(low):
        connection.exec_driver_sql("select 1/0")

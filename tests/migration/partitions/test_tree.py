import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.migration.partitions import tree
from tests.conftest import TEXTS
from tests.migration.partitions.tables import RANGE, make_partitioned, run

TABLE = 'public."Amenities"'


def test_a_plain_table_is_its_own_only_leaf(engine, amenities):
    with engine.connect() as connection:
        (leaf,) = tree.read_leaves(connection, TABLE)
        (relation,) = tree.read_relations(connection, TABLE)
        assert leaf.regclass == relation.regclass == TABLE
        assert (relation.kind, relation.parent) == ("r", None)
        assert tree.count_blocks(connection, TABLE) == leaf.blocks > 0
        assert not tree.is_partitioned(connection, TABLE)


def test_parents_come_before_their_partitions_and_leaves_are_those_with_rows(engine, plan):
    make_partitioned(engine, plan, TEXTS)
    with engine.connect() as connection:
        relations = tree.read_relations(connection, TABLE)
        leaves = tree.read_leaves(connection, TABLE)
        assert tree.count_blocks(connection, TABLE) == sum(leaf.blocks for leaf in leaves)
        assert tree.is_partitioned(connection, TABLE)
    names = [relation.name for relation in relations]
    assert names[0] == "Amenities"
    assert names.index("Part 2") < names.index("Part 2 low")
    assert {leaf.name for leaf in leaves} == {"Part 0", "Part 1", "Part 2 low", "Part 2 high"}
    by_oid = {relation.oid: relation for relation in relations}
    parents = {r.name: by_oid[r.parent].name for r in relations if r.parent}
    assert parents["Part 2 low"] == "Part 2"


def test_children_by_inheritance_are_no_partitions(engine, amenities):
    run(engine, 'create table child () inherits ("Amenities")')
    with engine.connect() as connection:
        assert len(tree.read_leaves(connection, TABLE)) == 1


def test_no_lock_is_waited_for(engine, plan):
    make_partitioned(engine, plan, TEXTS, RANGE)
    with autocommit(engine) as connection, engine.begin() as other:
        other.exec_driver_sql("lock table low in access exclusive mode")
        connection.exec_driver_sql("set lock_timeout = 100")
        assert len(tree.read_relations(connection, TABLE)) == 3


def test_a_table_that_is_not_there_is_an_error(engine):
    with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match="does not exist"):
        tree.read_leaves(connection, "public.nothing")

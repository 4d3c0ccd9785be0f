from collections import Counter
from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from ragkit.database.engine import autocommit
from ragkit.migration.partitions.leaf import of_leaf
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work import sweep
from ragkit.migration.work.rows import Place, Row, places, read_keys, read_places, stripe
from tests.conftest import TEXTS
from tests.migration.partitions.tables import RANGE, expanded


@pytest.fixture
def claimed(migration):
    expand(migration)
    sweep.begin(migration)
    return sweep.claim(migration, "me")


@pytest.fixture
def leaf(migration, claimed):
    return of_leaf(migration, claimed.leaf)


def change(migration, sql):
    with autocommit(migration.engine) as connection:
        connection.exec_driver_sql(sql)


def test_the_rows_of_a_range_come_with_their_texts(migration, leaf, claimed):
    found = places(leaf, claimed)
    sizes = sorted((len(text.encode()) for text in TEXTS), reverse=True)
    assert [place.size for place in found] == sizes
    rows = read_places(leaf, found)
    assert sorted(rows) == [Row(str(n), text) for n, text in enumerate(TEXTS, 1)]


@given(st.lists(st.lists(st.integers(1, 600), min_size=1, max_size=8), max_size=8))
def test_one_row_of_each_page_comes_before_the_next_of_any_the_longest_first(pages):
    found = [
        Place(f"({block},{pointer})", size)
        for block, sizes in enumerate(pages)
        for pointer, size in enumerate(sizes, 1)
    ]
    striped = stripe(found)
    assert sorted(striped) == sorted(found)
    taken = Counter()
    for place in striped:
        block = int(place.at[1 : place.at.index(",")])
        assert place.size == sorted(pages[block], reverse=True)[taken[block]]
        waiting = [n for n, sizes in enumerate(pages) if taken[n] < len(sizes)]
        assert taken[block] == min(taken[n] for n in waiting)
        taken[block] += 1


def test_the_pages_of_a_range_are_striped(migration, leaf, claimed):
    change(
        migration,
        'insert into "Amenities" (id, name, content) '
        "select n, 'n', repeat('text ', 200 + n) from generate_series(100, 200) n",
    )
    found = places(leaf, replace(claimed, end=10_000))
    blocks = [place.at.split(",")[0] for place in found]
    first = len(set(blocks))
    assert first > 5
    assert len(set(blocks[:first])) == first


def test_filled_and_blank_rows_are_left_out(migration, leaf, claimed):
    change(migration, "update \"Amenities\" set content = '' where id = 1")
    change(migration, 'update "Amenities" set content = null where id = 2')
    change(migration, "update \"Amenities\" set content = ' ' where id = 3")
    change(migration, f'update "Amenities" set "new vector" = \'{[1.0] * 64}\' where id = 4')
    found = places(leaf, replace(claimed, end=10))
    assert {row.key for row in read_places(leaf, found)} == {"5", "6"}


def test_a_row_that_has_moved_is_left_to_the_queue(migration, leaf, claimed):
    found = places(leaf, claimed)
    change(migration, "update \"Amenities\" set name = 'moved' where id = 1")
    assert "1" not in {row.key for row in read_places(leaf, found)}
    with migration.engine.connect() as connection:
        assert "1" in connection.scalars(sa.text("select key from ragkit.queue")).all()


def test_a_table_that_was_rewritten_meanwhile_has_no_places(migration, leaf, claimed):
    change(migration, 'vacuum full "Amenities"')
    assert places(leaf, claimed) is None
    assert places(leaf, sweep.claim(migration, "me")) is not None


def test_keys_that_are_gone_are_left_out(migration, leaf, claimed):
    assert read_keys(migration, ["2", "77"]) == [Row("2", TEXTS[1])]


@pytest.fixture
def parted(engine, plan):
    """The migration of a partitioned table, and the first claim on it."""
    migration = expanded(engine, plan, TEXTS, RANGE)
    claimed = sweep.claim(migration, "me")
    return migration, claimed, of_leaf(migration, claimed.leaf)


def test_a_range_of_a_partition_has_its_rows_alone(parted):
    _, claimed, leaf = parted
    assert claimed.leaf.name == "low"
    rows = read_places(leaf, places(leaf, claimed))
    assert {row.key for row in rows} == {"1", "2", "3"}


def test_a_partition_that_was_renamed_is_walked_again(parted):
    migration, claimed, leaf = parted
    found = places(leaf, claimed)
    change(migration, "alter table low rename to lower")
    assert read_places(leaf, found) == []
    again = sweep.claim(migration, "me")
    assert (again.leaf.name, again.first) == ("lower", 0)
    change(migration, "alter table lower rename to lowest")
    assert places(of_leaf(migration, again.leaf), again) is None
    assert sweep.claim(migration, "me").leaf.name == "lowest"


def test_a_partition_that_was_dropped_is_forgotten(parted):
    migration, claimed, leaf = parted
    found = places(leaf, claimed)
    change(migration, "drop table low")
    assert read_places(leaf, found) == []
    assert places(leaf, claimed) is None
    assert sweep.claim(migration, "me").leaf.name == "high"

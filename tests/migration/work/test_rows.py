import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work import sweep
from ragkit.migration.work.rows import Row, places, read_keys, read_places
from tests.conftest import TEXTS


@pytest.fixture
def claimed(migration):
    expand(migration)
    sweep.begin(migration)
    return sweep.claim(migration, "me")


def change(migration, sql):
    with autocommit(migration.engine) as connection:
        connection.exec_driver_sql(sql)


def test_the_rows_of_a_range_come_with_their_texts(migration, claimed):
    found = places(migration, claimed)
    assert [place.size for place in found] == [len(text.encode()) for text in TEXTS]
    rows = read_places(migration, found)
    assert sorted(rows) == [Row(str(n), text) for n, text in enumerate(TEXTS, 1)]


def test_one_row_of_each_page_comes_before_the_next_of_any(migration, claimed):
    change(
        migration,
        'insert into "Amenities" (id, name, content) '
        "select n, 'n', repeat('text ', 200) || n from generate_series(100, 200) n",
    )
    found = places(migration, sweep.Range(0, 10_000, claimed.filenode))
    pointers = [int(place.at.strip("()").split(",")[1]) for place in found]
    assert pointers == sorted(pointers)
    assert pointers.count(1) > 5


def test_filled_and_blank_rows_are_left_out(migration, claimed):
    change(migration, "update \"Amenities\" set content = '' where id = 1")
    change(migration, 'update "Amenities" set content = null where id = 2')
    change(migration, "update \"Amenities\" set content = ' ' where id = 3")
    change(migration, f'update "Amenities" set "new vector" = \'{[1.0] * 64}\' where id = 4')
    found = places(migration, sweep.Range(0, 10, claimed.filenode))
    assert {row.key for row in read_places(migration, found)} == {"5", "6"}


def test_a_row_that_has_moved_is_left_to_the_queue(migration, claimed):
    found = places(migration, claimed)
    change(migration, "update \"Amenities\" set name = 'moved' where id = 1")
    assert "1" not in {row.key for row in read_places(migration, found)}
    with migration.engine.connect() as connection:
        assert "1" in connection.scalars(sa.text("select key from ragkit.queue")).all()


def test_a_table_that_was_rewritten_meanwhile_has_no_places(migration, claimed):
    change(migration, 'vacuum full "Amenities"')
    assert places(migration, claimed) is None
    assert places(migration, sweep.claim(migration, "me")) is not None


def test_keys_that_are_gone_are_left_out(migration, claimed):
    assert read_keys(migration, ["2", "77"]) == [Row("2", TEXTS[1])]

import sqlalchemy as sa

from ragkit.migration.preview.row_time import time_reads
from tests.conftest import column_of


def test_a_row_takes_some_time_and_nothing_is_left_or_changed(migration, engine):
    before = column_of(engine, migration, "embedding")
    assert 0 < time_reads(migration) < 1
    with engine.connect() as connection:
        assert connection.scalar(sa.text("select to_regclass('ragkit_trial_rows')")) is None
    assert column_of(engine, migration, "embedding").keys() == before.keys()
    assert "new vector" not in {c["name"] for c in sa.inspect(engine).get_columns("Amenities")}


def test_an_empty_table_takes_none(migration, engine):
    with engine.begin() as connection:
        connection.exec_driver_sql('delete from "Amenities"')
    assert time_reads(migration) == 0


def test_texts_that_are_blank_are_not_read(migration, engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("update \"Amenities\" set content = ' '")
    assert time_reads(migration) == 0

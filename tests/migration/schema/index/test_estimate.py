import pytest
import sqlalchemy as sa

from ragkit.migration.schema.index.estimate import (
    WORTH_A_TRIAL,
    Estimate,
    estimate_build,
    estimate_rows,
)
from ragkit.migration.schema.index.sizing import choose_sizing
from tests.conftest import random_vectors

READ = sa.text("select pg_stat_get_tuples_returned(to_regclass(:table))")


def counted(migration):
    with migration.engine.connect() as connection:
        return estimate_rows(connection, migration)


def test_a_small_table_is_known_within_some_percent(engine, plan):
    assert counted(random_vectors(engine, plan, 2000)) == pytest.approx(2000, rel=0.15)


def test_of_a_large_table_a_part_is_read(migration, engine):
    """Never analyzed, and wide: a page holds a row or two."""
    table = migration.quoted_table
    with engine.begin() as connection:
        connection.exec_driver_sql(f"alter table {table} alter description set storage plain")
        connection.exec_driver_sql(
            f"insert into {table} (id, name, description, content) select n, 'x', "
            "repeat('x', 5000), 'text' from generate_series(1000, 11000) n"
        )
    with engine.connect() as connection:
        rows = estimate_rows(connection, migration)
        connection.exec_driver_sql("select pg_stat_force_next_flush()")
        connection.commit()
        read = connection.scalar(READ, {"table": table})
    assert rows == pytest.approx(10_000, rel=0.2)
    assert 0 < read < rows / 2


def test_an_empty_table_has_no_rows(migration, engine):
    with engine.begin() as connection:
        connection.exec_driver_sql(f"truncate {migration.quoted_table}")
    assert counted(migration) == 0


def test_a_trial_is_made_only_where_it_is_worth_its_time(migration, engine):
    with engine.connect() as connection:
        sizing = choose_sizing(connection, migration, WORTH_A_TRIAL, may_set=True)
    small = estimate_build(migration, WORTH_A_TRIAL - 1, sizing)
    large = estimate_build(migration, WORTH_A_TRIAL, sizing)
    assert (small.seconds, small.bytes) == (0, 0)
    assert large.seconds > 0
    assert large.bytes > 64 * 4 * WORTH_A_TRIAL


def test_an_index_beyond_the_memory_takes_longer_than_is_told():
    assert "rows: about 5 minutes with" in Estimate(10**6, 10**9, 300.0, False).describe()
    assert "rows: more than 5 minutes with" in Estimate(10**6, 10**9, 300.0, True).describe()

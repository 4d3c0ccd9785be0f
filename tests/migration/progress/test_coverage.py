import pytest
import sqlalchemy as sa

from ragkit.migration.migration import Migration
from ragkit.migration.progress import coverage
from ragkit.migration.schema.expansion import expand
from tests.conftest import TEXTS, changed, make_table


def test_a_small_table_is_counted_exactly(filled):
    with filled.engine.connect() as connection:
        assert coverage.estimate_rows(connection, filled) == coverage.count_rows(connection, filled)


def test_a_large_table_is_estimated_by_a_few_of_its_pages(engine, plan):
    make_table(engine, plan, TEXTS[:1])
    migration = Migration.open(plan, engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            'insert into "Amenities" (id, name, content) '
            "select n, 'n', case when n % 10 = 0 then ' ' else repeat('text ', 30) || n end "
            "from generate_series(2, 60000) n"
        )
    expand(migration)
    with engine.connect() as connection:
        assert coverage.count_blocks(connection, migration) > 4 * coverage.PAGES
        estimate = coverage.estimate_rows(connection, migration)
        exact = coverage.count_rows(connection, migration)
    for name in ("rows", "pending", "empty"):
        assert getattr(estimate, name) == pytest.approx(getattr(exact, name), rel=0.05)


def test_rows_that_no_page_of_an_estimate_has_are_counted(engine, plan):
    """As those of a filter by date, at the end of a table."""
    make_table(engine, plan, TEXTS[:1])
    with engine.begin() as connection:
        connection.exec_driver_sql(
            'insert into "Amenities" (id, name, content) '
            "select n, 'n', repeat('text ', 30) || n from generate_series(2, 60000) n"
        )
    migration = Migration.open(changed(plan, {"table.where": "id > 59950"}), engine)
    with engine.connect() as connection:
        assert coverage.estimate_rows(connection, migration, expanded=False).rows == 50


def test_blocks_are_a_part_of_the_table(filled):
    with filled.engine.connect() as connection:
        end = coverage.count_blocks(connection, filled)
        parts = [(n, n + 1) for n in range(end)]
        queries = [filled.select(sa.func.count()).where(*coverage.in_blocks(*p)) for p in parts]
        assert sum(connection.scalar(query) for query in queries) == 6
        for blocks in ((end, end + 9), (0, 0)):
            query = filled.select(sa.func.count()).where(*coverage.in_blocks(*blocks))
            assert connection.scalar(query) == 0

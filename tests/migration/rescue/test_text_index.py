import pytest
import sqlalchemy as sa

from ragkit.migration.rescue import text_index
from ragkit.migration.rescue.text_index import build_text_index, create_sql, drop_text_index
from ragkit.migration.schema.expansion import expand
from tests.conftest import random_vectors
from tests.retrieval.rescue.conftest import make_rescue


@pytest.fixture
def large(engine, plan):
    return random_vectors(engine, plan, text_index.MIN_ROWS + 500)


def indexes(migration):
    with migration.engine.connect() as connection:
        return {
            row.indexname
            for row in connection.execute(
                sa.text("select indexname, indexdef from pg_indexes where indexdef like '% gin %'")
            )
        }


def test_a_large_table_gets_one_and_only_one(large):
    plan = make_rescue(large)
    assert build_text_index(large, plan)
    assert build_text_index(large, plan)
    assert indexes(large) == {"Amenities_ragkit_text"}
    drop_text_index(large)
    drop_text_index(large)
    assert indexes(large) == set()


def test_a_small_table_needs_none(migration):
    expand(migration)
    assert not build_text_index(migration, make_rescue(migration))
    assert indexes(migration) == set()


def test_the_user_s_own_index_is_used_and_stays(large):
    own = "create index own on \"Amenities\" using gin (to_tsvector('english', content))"
    with large.engine.begin() as connection:
        connection.exec_driver_sql(own)
    assert build_text_index(large, make_rescue(large))
    drop_text_index(large)
    assert indexes(large) == {"own"}


def test_one_of_another_language_is_not_enough(large):
    own = "create index own on \"Amenities\" using gin (to_tsvector('german', content))"
    with large.engine.begin() as connection:
        connection.exec_driver_sql(own)
    assert build_text_index(large, make_rescue(large))
    assert len(indexes(large)) == 2


def test_the_leftover_of_a_killed_build_is_replaced(large, server):
    plan = make_rescue(large)
    with large.engine.begin() as connection:
        connection.exec_driver_sql(create_sql(large, plan).replace(" concurrently", ""))
    with server.engine(database=large.engine.url.database).begin() as admin:
        admin.execute(
            sa.text(
                "update pg_index set indisvalid = false "
                "where indexrelid = cast('\"Amenities_ragkit_text\"' as regclass)"
            )
        )
    assert build_text_index(large, plan)
    with large.engine.connect() as connection:
        assert connection.scalar(
            sa.text("select bool_and(indisvalid) from pg_index where indexprs is not null")
        )

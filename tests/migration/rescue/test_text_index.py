from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from ragkit.migration.rescue import text_index
from ragkit.migration.rescue.text_index import build_text_index, create_sql, drop_text_index
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.retrieval.rescue.candidates.full_text import (
    document_sql,
    find_candidates,
    searchable_sql,
)
from tests.conftest import changed, random_vectors
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


def test_the_server_knows_the_shares_of_words_then(large):
    build_text_index(large, make_rescue(large))
    with large.engine.connect() as connection:
        shares = connection.scalar(sa.text(
            "select most_common_elem_freqs from pg_stats where tablename = 'Amenities_ragkit_text'"
        ))  # fmt: skip
    assert shares


def test_a_table_that_is_locked_is_not_waited_for(large, caplog):
    """By another session, which analyses it, or builds an index."""
    build_text_index(large, make_rescue(large))
    with large.engine.connect() as other:
        other.exec_driver_sql(f"lock table {large.quoted_table} in share update exclusive mode")
        text_index._analyse(large)
    assert "the rarest words of a question are not known" in caplog.text


def test_a_name_of_letters_of_several_bytes_is_not_taken_for_the_table_s(engine, plan):
    """PostgreSQL keeps the first 63 bytes of a name."""
    long = random_vectors(
        engine, changed(plan, {"table.name": "日" * 21}), text_index.MIN_ROWS + 500
    )
    assert build_text_index(long, make_rescue(long))
    assert {name[-12:] for name in indexes(long)} == {"_ragkit_text"}
    assert index.build(long).valid
    drop_text_index(long)
    assert indexes(long) == set()


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


def add_column(migration, name="tsv"):
    with migration.engine.begin() as connection:
        connection.exec_driver_sql(
            f'alter table {migration.quoted_table} add column "{name}" tsvector '
            "generated always as (to_tsvector('english', content)) stored"
        )


class TestGeneratedColumn:
    """Of the table, which is searched in place of the texts."""

    @pytest.fixture
    def large(self, large):
        add_column(large)
        return large

    def test_its_index_is_used_and_stays(self, large):
        with large.engine.begin() as connection:
            connection.exec_driver_sql('create index own on "Amenities" using gin (tsv)')
        assert build_text_index(large, make_rescue(large, document="tsv"))
        drop_text_index(large)
        assert indexes(large) == {"own"}

    @pytest.mark.parametrize(
        "index",
        [
            'on "Amenities" using gin (tsv) where id > 7',
            "on \"Amenities\" using gin (to_tsvector('english', content))",
        ],
    )
    def test_one_that_does_not_serve_it_is_not_enough(self, large, index):
        with large.engine.begin() as connection:
            connection.exec_driver_sql(f"create index own {index}")
        assert build_text_index(large, make_rescue(large, document="tsv"))
        assert indexes(large) == {"own", "Amenities_ragkit_text"}

    def test_without_an_index_it_gets_one_and_only_one(self, large):
        plan = make_rescue(large, document="tsv")
        assert build_text_index(large, plan)
        assert build_text_index(large, plan)
        assert definitions(large) == ["USING gin (tsv)"]
        drop_text_index(large)
        assert indexes(large) == set()

    def test_it_takes_the_place_of_one_on_the_texts_and_the_reverse(self, large):
        for plan, on in [
            (make_rescue(large), "to_tsvector"),
            (make_rescue(large, document="tsv"), "(tsv)"),
            (make_rescue(large), "to_tsvector"),
        ]:
            assert build_text_index(large, plan)
            (definition,) = definitions(large)
            assert on in definition

    def test_its_name_is_quoted(self, large):
        add_column(large, "My lexemes")
        plan = make_rescue(large, document="My lexemes")
        assert build_text_index(large, plan)
        assert build_text_index(large, plan)
        with large.engine.connect() as connection:
            assert len(find_candidates(connection, large.new, plan, "shop", 50)) == 50

    def test_the_leftover_of_a_killed_build_is_replaced(self, large, server):
        plan = make_rescue(large, document="tsv")
        assert build_text_index(large, plan)
        invalidate(large, server)
        assert build_text_index(large, plan)
        with large.engine.connect() as connection:
            assert connection.scalar(sa.text("select bool_and(indisvalid) from pg_index"))


def definitions(migration):
    with migration.engine.connect() as connection:
        query = "select indexdef from pg_indexes where indexdef like '% gin %'"
        found = connection.scalars(sa.text(query)).all()
    return ["USING" + each.partition("USING")[2] for each in found]


def invalidate(migration, server):
    with server.engine(database=migration.engine.url.database).begin() as admin:
        admin.execute(
            sa.text(
                "update pg_index set indisvalid = false "
                "where indexrelid = cast('\"Amenities_ragkit_text\"' as regclass)"
            )
        )


def test_the_leftover_of_a_killed_build_is_replaced(large, server):
    plan = make_rescue(large)
    with large.engine.begin() as connection:
        connection.exec_driver_sql(create_sql(large, plan).replace(" concurrently", ""))
    invalidate(large, server)
    assert build_text_index(large, plan)
    with large.engine.connect() as connection:
        assert connection.scalar(
            sa.text("select bool_and(indisvalid) from pg_index where indexprs is not null")
        )


def test_another_language_replaces_it(large):
    assert build_text_index(large, make_rescue(large))
    assert build_text_index(large, make_rescue(large, language="german"))
    with large.engine.connect() as connection:
        found = connection.scalars(sa.text("select indexdef from pg_indexes")).all()
    assert len([each for each in found if "'german'" in each]) == 1
    assert not [each for each in found if "'english'" in each]


def test_two_at_once_build_one(engine, plan):
    """PostgreSQL would end one of them as a deadlock."""
    large = random_vectors(engine, plan, 20_000)
    with ThreadPoolExecutor(3) as pool:
        built = [pool.submit(build_text_index, large, make_rescue(large)) for _ in range(3)]
        assert [each.result() for each in built] == [True] * 3
    assert indexes(large) == {"Amenities_ragkit_text"}


def test_the_app_may_write_a_text_of_more_lexemes_than_postgresql_makes(large):
    assert build_text_index(large, make_rescue(large))
    text = " ".join(f"{number:x}" * 4 for number in range(1_000_000, 1_060_000))
    change = sa.update(large.table).where(large.key == 7).values(content=text)
    with large.engine.begin() as connection:
        connection.execute(change)
    plan = make_rescue(large)
    with large.engine.connect() as connection:
        assert len(find_candidates(connection, large.new, plan, "shop", 50)) == 50


def test_the_search_uses_it(large):
    plan = make_rescue(large)
    assert build_text_index(large, plan)
    with large.engine.begin() as connection:
        run = connection.exec_driver_sql
        run("set local enable_seqscan = off")
        where = f"{searchable_sql(plan)} and {document_sql(plan)} @@ 'shop'::tsquery"
        lines = run(f"explain select from {large.quoted_table} where {where}").scalars().all()
    assert any("Amenities_ragkit_text" in line for line in lines)


def test_a_language_s_name_is_quoted(large):
    with large.engine.begin() as connection:
        connection.exec_driver_sql('create text search configuration "My own" (copy = english)')
    plan = make_rescue(large, language="My own")
    assert build_text_index(large, plan)
    with large.engine.connect() as connection:
        assert len(find_candidates(connection, large.new, plan, "shop", 50)) == 50


def test_without_one_nothing_is_dropped(migration):
    """A retirement must not need what only the building of an index needs."""
    seen = []
    expand(migration)
    sa.event.listen(migration.engine, "before_cursor_execute", lambda *a: seen.append(a[2]))
    drop_text_index(migration)
    assert [sql for sql in seen if "drop" in sql.lower() or sql.lower().startswith("set")] == []

import pytest
import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier, split_name, table_clause

NAMES = ['a"b', "Mixed Case", "select", "a:b", "a%b", "ä", "v2.docs"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_quoted(engine, name):
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"create table {quote_identifier('public', name)} ({quote_identifier(name)} int)"
        )
    assert name in sa.inspect(engine).get_table_names()


def test_each_word_that_the_server_reserves_for_something_is_quoted(engine):
    with engine.connect() as connection:
        query = sa.text("select word from pg_get_keywords() where catcode <> 'U'")
        words = connection.scalars(query).all()
    assert "lateral" in words
    assert [word for word in words if quote_identifier(word) != f'"{word}"'] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_table_clause_selects_from_a_table_of_any_name(engine, name):
    with engine.begin() as connection:
        connection.exec_driver_sql(f"create table {quote_identifier('public', name)} (id int)")
        count = sa.select(sa.func.count()).select_from(table_clause(f"public.{name}"))
        assert connection.scalar(count) == 0


def test_a_qualified_name_is_split_into_schema_and_table():
    assert split_name("public.amenities") == ("public", "amenities")
    assert split_name("amenities") == (None, "amenities")

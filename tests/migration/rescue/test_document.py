import pytest
import sqlalchemy as sa

from ragkit.errors import ConfigError
from ragkit.migration.rescue.document import Document, choose_document
from ragkit.migration.rescue.service import start_rescue
from ragkit.retrieval.rescue.plan import read_plan
from tests.conftest import with_plan

TEXTS_ALONE = Document("english")


def add_column(migration, expression, name="tsv"):
    with migration.engine.begin() as connection:
        connection.exec_driver_sql(
            f'alter table {migration.quoted_table} add column "{name}" tsvector '
            f"generated always as ({expression}) stored"
        )


def run(migration, sql):
    with migration.engine.begin() as connection:
        connection.exec_driver_sql(sql)


@pytest.mark.parametrize(
    "expression",
    [
        "to_tsvector('english', content)",
        "to_tsvector('pg_catalog.english'::regconfig, coalesce(content, ''))",
    ],
)
@pytest.mark.parametrize("content", ["text", "character varying"])
def test_a_generated_column_of_the_texts_is_searched(migration, content, expression):
    run(migration, f"alter table {migration.quoted_table} alter column content type {content}")
    add_column(migration, expression)
    assert choose_document(migration) == Document("english", "tsv")


@pytest.mark.parametrize(
    "expression",
    [
        "to_tsvector('english', content || ' ' || name)",
        "to_tsvector('english', name)",
        "to_tsvector('english', left(content, 10))",
        "to_tsvector('english', coalesce(content, 'nothing'))",
        "setweight(to_tsvector('english', content), 'A')",
        "content::tsvector",
    ],
)
def test_one_of_anything_else_is_not(migration, expression):
    if "::tsvector" in expression:
        run(migration, f"alter table {migration.quoted_table} add column tsv tsvector")
    else:
        add_column(migration, expression)
    assert choose_document(migration) == TEXTS_ALONE


def test_its_language_is_the_column_s(migration):
    add_column(migration, "to_tsvector('german', content)", "My lexemes")
    assert choose_document(migration) == Document("german", "My lexemes")


def test_a_language_of_the_plan_goes_before_it(migration):
    add_column(migration, "to_tsvector('german', content)")
    simple = with_plan(migration, {"rescue.language": "simple"})
    assert choose_document(simple) == Document("simple")
    german = with_plan(migration, {"rescue.language": "german"})
    assert choose_document(german) == Document("german", "tsv")
    with pytest.raises(ConfigError, match="klingon"):
        choose_document(with_plan(migration, {"rescue.language": "klingon"}))


def test_one_with_an_index_goes_before_one_without(migration):
    add_column(migration, "to_tsvector('german', content)", "first")
    add_column(migration, "to_tsvector('english', content)", "second")
    assert choose_document(migration).column == "first"
    run(migration, f"create index on {migration.quoted_table} using gin (second)")
    assert choose_document(migration).column == "second"


def test_a_configuration_of_the_user_s_own(migration):
    run(migration, 'create text search configuration "My own" (copy = english)')
    add_column(migration, "to_tsvector('\"My own\"', content)")
    assert choose_document(migration) == Document("My own", "tsv")


def test_a_column_that_the_app_may_not_read_is_not_searched(migration, server):
    add_column(migration, "to_tsvector('english', content)")
    with server.engine(database=migration.engine.url.database).begin() as admin:
        admin.execute(sa.text('create role "narrow" login'))
    try:
        run(migration, f'grant select (id, content) on {migration.quoted_table} to "narrow"')
        assert choose_document(migration) == TEXTS_ALONE
        run(migration, f'grant select on {migration.quoted_table} to "narrow"')
        assert choose_document(migration) == Document("english", "tsv")
    finally:
        with server.engine(database=migration.engine.url.database).begin() as admin:
            admin.execute(sa.text('drop owned by "narrow"; drop role "narrow"'))


def test_the_rescue_has_it(migration, new_embedder):
    add_column(migration, "to_tsvector('german', content)")
    assert start_rescue(migration, new_embedder).language == "german"
    with migration.engine.connect() as connection:
        plan = read_plan(connection, migration.new)
    assert (plan.language, plan.document) == ("german", "tsv")

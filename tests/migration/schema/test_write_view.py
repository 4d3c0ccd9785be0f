import sqlalchemy as sa

from ragkit.migration.retirement import drop_old_column
from ragkit.migration.schema import write_view
from ragkit.migration.schema.expansion import expand, keep_old_column_current
from tests.conftest import with_plan


def views(engine):
    with engine.connect() as connection:
        names = "select count(*) from pg_class where relkind = 'v' and relname like 'write%%'"
        functions = "select count(*) from pg_proc where proname like 'write%%'"
        return connection.exec_driver_sql(names).scalar(), connection.exec_driver_sql(
            functions
        ).scalar()


def test_each_column_that_is_written_has_one_and_a_dropped_one_has_none(filled, engine):
    assert views(engine) == (1, 1)
    keep_old_column_current(filled)
    assert views(engine) == (2, 2)
    with engine.begin() as connection:
        filled.record("cut over")
        drop_old_column(connection, filled)
    assert views(engine) == (1, 1)


def test_it_hinders_no_change_of_the_table(migration, engine):
    expand(migration)
    with engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" drop column "new vector" cascade')
        connection.exec_driver_sql('drop table "Amenities"')


def test_names_are_quoted_and_a_text_cannot_end_the_body(migration):
    odd = with_plan(migration, {"new.column": 'it\'s $body$ \\ "odd"'})
    with migration.engine.connect() as connection:
        create = write_view.create_sql(connection, odd)[1]
    assert 'set "it\'s $body$ \\ ""odd""" = new.vector' in create
    assert "E'it''s $body$ \\\\ \"odd\"'" in create
    with migration.engine.begin() as connection:
        expand_tables = sa.text("create schema ragkit")
        connection.execute(expand_tables)
        for statement in write_view.create_sql(connection, odd):
            connection.exec_driver_sql(statement)

"""Tables of ragkit's own schema, made by several at once."""

import threading

import sqlalchemy as sa

from ragkit.database.own_tables import create_own_tables

TABLES = sa.MetaData(schema="ragkit")
for name in ("one", "two", "three"):
    sa.Table(name, TABLES, sa.Column("id", sa.Integer, primary_key=True))


def test_many_make_them_at_once(engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("create schema ragkit")
    start, errors = threading.Barrier(8), []

    def make():
        try:
            with engine.connect() as connection:
                connection.scalar(sa.text("select 1"))
                start.wait()
                create_own_tables(connection, TABLES)
                connection.commit()
        except sa.exc.DBAPIError as error:
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert set(sa.inspect(engine).get_table_names("ragkit")) == {"one", "two", "three"}


def test_what_is_there_stays_and_what_is_missing_comes(engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("create schema ragkit")
        create_own_tables(connection, TABLES)
        connection.exec_driver_sql("insert into ragkit.one values (1)")
        connection.exec_driver_sql("drop table ragkit.two")
    with engine.begin() as connection:
        create_own_tables(connection, TABLES)
        assert connection.scalar(sa.text("select count(*) from ragkit.one")) == 1
        assert connection.scalar(sa.text("select count(*) from ragkit.two")) == 0

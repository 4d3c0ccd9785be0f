import struct

import pg8000
import pytest

from ragkit.database.copying import copy_from

COPY = "copy numbers from stdin with (format binary)"


def rows(*numbers):
    head = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
    body = b"".join(struct.pack("!hii", 1, 4, number) for number in numbers)
    return head + body + struct.pack("!h", -1)


@pytest.fixture
def connection(engine):
    with engine.connect() as connection:
        connection.exec_driver_sql("create table numbers (n int check (n < 10))")
        connection.commit()
        yield connection


def stored(connection):
    return connection.exec_driver_sql("select n from numbers").scalars().all()


def test_it_is_its_own_transaction(connection):
    assert copy_from(connection, COPY, rows(1, 2)) == 0
    connection.rollback()
    assert stored(connection) == [1, 2]


def test_in_a_transaction_it_is_a_part_of_it(connection):
    stored(connection)
    copy_from(connection, COPY, rows(1))
    connection.rollback()
    assert stored(connection) == []


@pytest.mark.parametrize("statement", [COPY, "copy nowhere from stdin with (format binary)"])
def test_after_an_error_the_connection_goes_on(connection, statement):
    with pytest.raises(pg8000.DatabaseError):
        copy_from(connection, statement, rows(1, 77))
    assert stored(connection) == []


def test_notices_are_counted(connection):
    connection.exec_driver_sql(
        "create function tell() returns trigger language plpgsql as "
        "$$ begin raise notice 'a row'; return new; end $$"
    )
    connection.exec_driver_sql(
        "create trigger tell before insert on numbers for each row execute function tell()"
    )
    connection.commit()
    assert copy_from(connection, COPY, rows(*[1] * 150)) == 150

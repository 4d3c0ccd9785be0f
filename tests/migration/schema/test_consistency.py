"""Tables whose vectors could not be kept right are refused before anything is changed, and the way
out that the message prints is one."""

import re

import pytest

from ragkit.errors import SchemaError
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand

SHOUT = (
    "create function shout() returns trigger language plpgsql as "
    "$$ begin new.content := upper(new.content); return new; end $$"
)
CASES = {
    "char": (['alter table "Amenities" alter content type char(200)'], "blanks at the end"),
    "trigger": (
        [SHOUT, 'create trigger "zzz T" before insert or update on "Amenities" '
         "for each row execute function shout()"],
        "fires after the one that clears",
    ),
}  # fmt: skip


def run(engine, *statements):
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_with_a_statement_that_helps(engine, plan, amenities, name):
    statements, reason = CASES[name]
    run(engine, *statements)
    with pytest.raises(SchemaError, match=reason) as error:
        Migration.open(plan, engine)
    (remedy,) = re.findall(r"ALTER T.*", str(error.value))
    run(engine, remedy)
    assert expand(Migration.open(plan, engine))


def test_a_nondeterministic_collation_is_refused(engine, plan, amenities, server):
    """The server here is built without ICU, so that its catalogue is told to have one."""
    run(engine, 'create collation loose (locale = "C")',
        'alter table "Amenities" alter content type text collate loose')  # fmt: skip
    admin = server.engine(database=engine.url.database)
    with admin.begin() as connection:
        connection.exec_driver_sql("set local allow_system_table_mods = on")
        connection.exec_driver_sql(
            "update pg_collation set collisdeterministic = false where collname = 'loose'"
        )
    admin.dispose()
    with pytest.raises(SchemaError, match="nondeterministic collation") as error:
        Migration.open(plan, engine)
    (remedy,) = re.findall(r"ALTER T.*", str(error.value))
    run(engine, remedy)
    assert Migration.open(plan, engine)


def test_a_table_with_children_is_refused(engine, plan, amenities):
    run(engine, 'create table child () inherits ("Amenities")')
    with pytest.raises(SchemaError, match="1 tables inherit from it"):
        Migration.open(plan, engine)
    run(engine, 'alter table child no inherit "Amenities"')
    assert Migration.open(plan, engine)


def test_a_partition_is_refused(engine, plan, amenities):
    run(
        engine,
        'create table whole (like "Amenities") partition by range (id)',
        'alter table whole attach partition "Amenities" for values from (0) to (1000)',
    )
    with pytest.raises(SchemaError, match="is a partition"):
        Migration.open(plan, engine)


def test_triggers_that_cannot_change_the_row_are_no_fault(engine, plan, amenities):
    run(
        engine, SHOUT,
        'create trigger zzz_a after update on "Amenities" for each row execute function shout()',
        'create trigger zzz_b before update on "Amenities" for each statement '
        "execute function shout()",
        'create trigger zzz_c before insert on "Amenities" for each row execute function shout()',
        'create trigger "zzz_d" before update on "Amenities" for each row execute function shout()',
        'alter table "Amenities" disable trigger zzz_d',
    )  # fmt: skip
    assert Migration.open(plan, engine)


def test_a_migration_that_has_begun_can_still_be_opened(engine, plan, amenities):
    """The way back needs it."""
    expand(Migration.open(plan, engine))
    run(engine, 'create table child () inherits ("Amenities")')
    assert Migration.open(plan, engine).phase() == "expanded"

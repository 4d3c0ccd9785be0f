import sqlalchemy as sa

from ragkit.migration.schema.expansion import expand, keep_old_column_current
from ragkit.migration.schema.trigger_faults import trigger_faults
from ragkit.migration.schema.triggers import drop_triggers
from ragkit.migration.status import read_status
from tests.conftest import column_of, gates_of


def run(migration, *statements):
    with migration.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def faults(migration):
    with migration.engine.connect() as connection:
        return trigger_faults(connection, migration)


def test_triggers_of_both_directions_see_every_write(filled):
    assert faults(filled) == []
    keep_old_column_current(filled)
    assert faults(filled) == faults(filled.reversed()) == []


def test_disabled_triggers_are_told_and_put_back_with_a_warning(filled, caplog):
    run(filled, 'alter table "Amenities" disable trigger user')
    assert [fault.split()[-1] for fault in faults(filled)] == ["disabled"] * 3
    run(filled, 'alter table "Amenities" enable trigger user')
    assert [fault.partition(" is ")[2] for fault in faults(filled)] == ["not ALWAYS"] * 3
    assert expand(filled) is False
    assert faults(filled) == []
    assert "set new vector to NULL" in caplog.text
    with filled.engine.begin() as connection:
        drop_triggers(connection, filled)
    assert [fault.partition(" is ")[2] for fault in faults(filled)] == ["missing"] * 3
    expand(filled)
    with filled.engine.begin() as connection:
        change = sa.update(filled.table).where(filled.key == 1)
        connection.execute(change.values(content="Seen again."))
    assert column_of(filled.engine, filled, "new vector")[1] is None


def test_a_trigger_that_fires_later_is_a_fault(filled):
    run(
        filled,
        "create function shout() returns trigger language plpgsql as "
        "$$ begin new.content := upper(new.content); return new; end $$",
        'create trigger zzz before update on "Amenities" for each row execute function shout()',
    )
    assert faults(filled) == ["zzz fires after it and can change the text"]
    gates = gates_of(filled)
    assert gates["triggers"].passed is False
    assert read_status(filled, None).triggers == gates["triggers"].observed

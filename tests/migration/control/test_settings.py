"""The row that people change."""

import pytest
import sqlalchemy as sa

from ragkit.errors import ConfigError, PhaseError
from ragkit.migration import ledger
from ragkit.migration.control.settings import Settings, change_settings, read_settings
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand


@pytest.fixture
def migration(engine, plan, amenities):
    migration = Migration.open(plan, engine)
    expand(migration)
    return migration


def read(migration):
    with migration.engine.connect() as connection:
        return read_settings(connection, migration)


def test_nobody_has_changed_anything(migration):
    assert read(migration) == Settings()
    assert str(Settings()) == ""
    with migration.engine.begin() as connection:  # as an earlier version left it
        connection.exec_driver_sql("drop table ragkit.control")
    assert read(migration) == Settings()


def test_a_change_keeps_the_others_and_is_in_the_ledger(migration):
    change_settings(migration, "pause", paused=True)
    changed = change_settings(migration, "in-flight", in_flight=4)
    assert read(migration) == changed
    assert (changed.paused, changed.in_flight, changed.by) == (True, 4, ledger.actor())
    assert str(changed).startswith("paused, 4 in flight (by ")
    with migration.engine.connect() as connection:
        last = ledger.last_event(connection, migration.id, "controlled")
    assert last.detail == {"action": "in-flight", "in_flight": "4"}
    assert last.actor == ledger.actor()


def test_the_table_is_made_where_an_earlier_version_has_none(migration):
    with migration.engine.begin() as connection:
        connection.exec_driver_sql("drop table ragkit.control")
    assert change_settings(migration, "pause", paused=True).paused


def test_before_the_first_step_there_is_nothing_to_control(engine, plan, amenities):
    with pytest.raises(PhaseError, match="nothing to control"):
        change_settings(Migration.open(plan, engine), "pause", paused=True)


@pytest.mark.parametrize(
    "values",
    [{"in_flight": 0}, {"in_flight": 257}, {"pace": 0.0}, {"pace": 65.0}, {"pace": float("nan")},
     {"window": "night"}, {"window": "22:00-06:00 Europe/Atlantis"}],
)  # fmt: skip
def test_a_value_that_means_nothing_changes_nothing(migration, values):
    with pytest.raises(ConfigError):
        change_settings(migration, "test", **values)
    assert read(migration) == Settings()


def test_a_row_that_somebody_wrote_by_hand_is_told_and_can_be_reset(migration):
    change_settings(migration, "pause", paused=True)
    with migration.engine.begin() as connection:
        connection.execute(sa.text("update ragkit.control set \"window\" = 'full moon'"))
    with pytest.raises(ConfigError, match="full moon"):
        read(migration)
    assert change_settings(migration, "reset", window="").window == ""


def test_the_pace_has_bounds():
    slow = fast = Settings()
    for _ in range(20):
        slow, fast = Settings(pace=slow.slower()), Settings(pace=fast.faster())
    assert (slow.pace, fast.pace) == (1 / 64, 64)
    assert Settings(pace=slow.faster()).pace == 1 / 32

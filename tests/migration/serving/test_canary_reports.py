"""A canary is seen from another terminal, by the ledger."""

import dataclasses

import sqlalchemy as sa

from ragkit.deploy.canary.decision import BACK, WAIT, CanaryLook, Standing
from ragkit.migration import phases
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from ragkit.migration.serving.canary_reports import CanaryReports
from ragkit.migration.status import read_status

LOOK = CanaryLook(5, 312, (Standing("errors", 0.01, -0.004, 0.03, 0.02, 312, WAIT, 200),), WAIT)


def recorded(migration):
    with migration.engine.connect() as connection:
        query = sa.text("select detail from ragkit.event where kind = 'canary' order by id")
        return connection.scalars(query).all()


def test_the_status_shows_the_running_interval_until_the_phase_changes(migration):
    expand(migration)
    assert read_status(migration, "m").canary is None
    CanaryReports(migration)(LOOK)
    shown = read_status(migration, "m").canary
    assert shown.startswith("5 % of the traffic waits, 312 answers, about 200 more comparisons; ")
    assert "errors +1.0 points (-0.4 to +3.0), waits (at " in shown
    migration.record(phases.BACKFILLED)
    assert read_status(migration, "m").canary is None


def test_it_records_decisions_and_tells_every_look(migration):
    expand(migration)
    reports, told = CanaryReports(migration), []
    reports.also = told.append
    back = dataclasses.replace(LOOK, decision=BACK)
    for look in (LOOK, LOOK, LOOK, back):
        reports(look)
    assert told == [LOOK, LOOK, LOOK, back]
    assert [detail["decision"] for detail in recorded(migration)] == [WAIT, BACK]
    assert recorded(migration)[0]["standings"][0]["low"] == -0.004


def test_a_database_that_is_away_stops_no_canary(migration, tmp_path):
    away = sa.create_engine(f"postgresql+pg8000://u@/d?unix_sock={tmp_path}/none")
    told = []
    reports = CanaryReports(
        Migration(migration.plan, away, migration.known_old, migration.known_new, migration.terms)
    )
    reports.also = told.append
    reports(LOOK)
    assert told == [LOOK]

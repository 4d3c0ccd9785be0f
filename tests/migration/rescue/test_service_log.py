from datetime import UTC, datetime, timedelta

import pytest

from ragkit.migration.rescue.service_log import (
    DOWN,
    NATIVE,
    OLD,
    RESCUED,
    note_service,
    observe,
    read_service,
)
from ragkit.migration.schema.expansion import expand
from ragkit.retrieval import contract_changes
from ragkit.retrieval.rescue.plan import write_plan
from ragkit.retrieval.space import FILLING
from tests.retrieval.rescue.conftest import make_rescue


def test_only_a_change_is_noted(migration):
    expand(migration)
    assert read_service(migration) == []
    for state in (DOWN, DOWN, RESCUED, RESCUED, DOWN, NATIVE):
        note_service(migration, state)
    states = read_service(migration)
    assert [each.state for each in states] == [DOWN, RESCUED, DOWN, NATIVE]
    assert abs(states[1].since - datetime.now(UTC)) < timedelta(seconds=20)


def test_a_state_began_before_it_was_noted_by_the_clock_that_tells_the_next_one(migration):
    """That of the server: this machine's may be ahead of it, and a state would end before it
    begins."""
    expand(migration)
    note_service(migration, DOWN, seconds=3600)
    note_service(migration, RESCUED)
    down, rescued = read_service(migration)
    lasted = rescued.since - down.since
    assert timedelta(hours=1) <= lasted < timedelta(hours=1, seconds=20)


class Test_observe:
    @pytest.fixture
    def observed(self, site, new_embedder):
        runbook = site()
        return lambda: observe(runbook.migration, runbook.app, new_embedder.model, "wool and fish")

    def test_an_app_that_answers_by_the_old_model(self, observed):
        assert observed() == OLD

    def test_an_app_that_does_not_answer(self, site, observed):
        site.app.stop()
        assert observed() == DOWN

    def test_the_contract_tells_how_the_new_model_answers(self, site, observed, new_embedder):
        migration = site().migration
        site.app.switch(new_embedder.model.name, "new vector")
        assert observed() == NATIVE
        table = migration.plan.table.qualified_name
        with migration.engine.begin() as connection:
            contract_changes.set_state(connection, table, "new vector", FILLING)
        assert observed() == DOWN  # nothing rescues it
        with migration.engine.begin() as connection:
            write_plan(connection, migration.new, make_rescue(migration))
        assert observed() == RESCUED

from ragkit.migration.rescue.service_log import DOWN, note_service
from ragkit.migration.schema.expansion import expand
from ragkit.runbook.rescue.service import service_states
from tests.runbook.rescue.conftest import GONE


def test_without_a_rescue_nothing_is_watched(down):
    runbook = down(GONE)
    assert service_states(runbook) == []  # not even a ledger
    expand(runbook.migration)
    assert service_states(runbook) == []


def test_what_is_watched_is_noted_when_it_changes(down):
    runbook = down(GONE)
    expand(runbook.migration)
    note_service(runbook.migration, DOWN)
    assert service_states(runbook) == service_states(runbook)
    assert [each.state for each in service_states(runbook)] == [DOWN]

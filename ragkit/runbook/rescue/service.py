"""The service over time, as far as a rescue has begun to watch it."""

from ragkit.migration.rescue.service_log import (
    NATIVE,
    ServiceState,
    note_service,
    observe,
    read_service,
)
from ragkit.runbook.runbook import Runbook


def service_states(runbook: Runbook) -> list[ServiceState]:
    """Looks at the service, and notes its state; [] without a rescue, whose end is the native
    search. Raises DatabaseError."""
    migration = runbook.migration
    states = read_service(migration)
    if not states or states[-1].state == NATIVE:
        return states
    embedder, question = runbook.new_embedder, runbook.smoke_question
    note_service(migration, observe(migration, runbook.app, embedder.model, question))
    return read_service(migration)

"""What can be rehearsed: what a copy of the table alone shows."""

from collections.abc import Iterator
from typing import Any

from ragkit.errors import ConfigError, PhaseError
from ragkit.migration import phases
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.rehearsal.scratch import SCRATCH


def require_rehearsable(migration: Migration) -> None:
    """Raises ConfigError, or PhaseError for a migration that has begun."""
    if faults := list(_faults(migration.plan)):
        raise ConfigError(f"this cannot be rehearsed: {'; '.join(faults)}; nothing was changed")
    if (phase := migration.phase()) != phases.PLANNED:
        raise PhaseError(
            f"a rehearsal comes before the migration, and this one is {phase!r}: ragkit status "
            f"says how far it is; the next step is: {phases.NEXT_STEPS[phase]}"
        )


def scratch_plan(plan: Plan) -> Plan:
    """Of the copy. It shares the budget of the migration that it rehearses, and runs
    now, whatever the hours. What was logged of the whole table is not compared with a part."""
    evaluation = plan.evaluation.model_copy(update={"old_run": "", "shadow_log": ""})
    sections: dict[str, Any] = {
        "table": plan.table.model_copy(update={"schema_name": SCRATCH}),
        "backfill": plan.backfill.model_copy(update={"window": ""}),
        "evaluation": evaluation,
    }
    return plan.model_copy(update=sections).beside((plan, *plan.siblings))


def _faults(plan: Plan) -> Iterator[str]:
    elsewhere = "run the migration itself on a clone of the database"
    if plan.table.text_table:
        yield f"the texts are in {plan.table.text_table}, which is not copied: {elsewhere}"
    if plan.old.is_beside:
        yield f"the old vectors are in a side table, which is not copied: {elsewhere}"
    if plan.backfill.mode == "batch":
        yield (
            "backfill.mode is batch, whose jobs may take a day: rehearse the same model with "
            "--set backfill.mode=live"
        )

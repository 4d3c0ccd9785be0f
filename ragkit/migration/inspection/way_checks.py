"""What is in the way of a view or of a swap, told before anything is paid for."""

from collections.abc import Iterator

from ragkit.database.translate import translate_errors
from ragkit.deploy.project_checks import Check
from ragkit.migration import phases
from ragkit.migration.migration import Migration
from ragkit.migration.swap.faults import swap_faults
from ragkit.migration.swap.statements import is_swapped, swapped
from ragkit.migration.versioned_view.faults import view_faults
from ragkit.migration.versioned_view.retirement import retire_faults

NAME = "way to the new column"


def check_way(migration: Migration) -> Iterator[Check]:
    """None where the app chooses a column, and after the retirement. Raises DatabaseError."""
    plan = migration.plan
    if plan.app.way == "column" or migration.phase() == phases.RETIRED:
        return
    with translate_errors("looking at the way"), migration.engine.connect() as connection:
        later, faults = list(retire_faults(connection, migration)), list[str]()
        if plan.app.way == "view":
            faults += view_faults(connection, migration)
        elif not is_swapped(plan):
            faults += swap_faults(connection, migration, swapped(plan))
    if faults:
        yield Check(NAME, "; ".join(faults), False, "before the cut-over")
    elif later and plan.app.way == "view":
        yield Check(NAME, f"the retirement is refused while {'; '.join(later)}", None, "before it")
    else:
        yield Check(NAME, f"nothing is in the way of the {plan.app.way}", True)

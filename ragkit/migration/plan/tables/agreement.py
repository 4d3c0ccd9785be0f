"""What the plans of one params file must share, and may not: one app is switched once."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from ragkit.migration.plan.plan import Plan
from ragkit.migration.plan.tables.entries import TABLES

OF_EACH_TABLE = {"smoke_question"}
"""Fields of `app` that are about rows, and not about the app."""


def disagreements(plans: Sequence[Plan]) -> Iterator[str]:
    """A fault for each field that only a whole file can set, and for entries that are the same
    migration. Values are never repeated."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, plan in enumerate(plans, 1):
        numbers[plan.migration_id].append(number)
    for same in numbers.values():
        if len(same) > 1:
            listed = " and ".join(map(str, same))
            yield f"{TABLES}, entries {listed} are the same migration: remove one of them"
    first, *others = map(_shared, plans)
    for number, other in enumerate(others, 2):
        for name, value in other.items():
            if value != first[name]:
                yield (
                    f"{TABLES}, entry {number}: {name} is another one than entry 1's, but one app "
                    f"is switched once, with one budget: set it once, beside {TABLES}"
                )
    if plans[0].app.way == "swap" and others:
        yield (
            "app.way: swap renames the columns of one table at a restart, and the app would meet "
            "some tables before and some after: use app.way: view for several tables"
        )
    target, tables = plans[0].app.target, {plan.table.qualified_name for plan in plans}
    if target in ("cloud", "local") and len(tables) > 1:
        yield (
            f"app.target: {target} is ragkit's own function, which searches one table: write a "
            "params file for each table"
        )


def _shared(plan: Plan) -> dict[str, Any]:
    """By the name of the field."""
    shared: dict[str, Any] = {"old.model": plan.old.model, "new.model": plan.new.model}
    shared["backfill.budget_usd"] = plan.backfill.budget_usd
    for name in ("database", "app", "canary"):
        fields = getattr(plan, name).model_dump(exclude=OF_EACH_TABLE)
        shared |= {f"{name}.{field}": value for field, value in fields.items()}
    return shared

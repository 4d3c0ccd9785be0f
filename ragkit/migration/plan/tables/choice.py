"""How a table of several is named, and chosen by `--table NAME` or `set = "tables=NAME"`."""

from collections import Counter
from collections.abc import Sequence

from ragkit.errors import PlanError
from ragkit.migration.plan.plan import Plan
from ragkit.migration.plan.tables.entries import TABLES


def split_choice(overrides: Sequence[str]) -> tuple[str, list[str]]:
    """The table that the overrides choose, "" when they choose none, and the other overrides."""
    chosen, others = "", []
    for override in overrides:
        name, equals, value = (part.strip() for part in override.partition("="))
        if name == TABLES and equals:
            chosen = value
        else:
            others.append(override)
    return chosen, others


def names_of(plans: Sequence[Plan]) -> list[str]:
    """The shortest unique name of each."""
    known = Counter(name for plan in plans for name in _names(plan))
    return [next(name for name in _names(plan) if known[name] == 1) for plan in plans]


def choose(plans: Sequence[Plan], chosen: str) -> Plan:
    """By a name of it, or its number from 1. Raises PlanError, which lists the tables."""
    found = [plan for plan in plans if chosen in _names(plan)]
    if not found and chosen.isdecimal() and 0 < int(chosen) <= len(plans):
        found = [plans[int(chosen) - 1]]
    if len(found) == 1:
        return found[0]
    fault = f"several are called {chosen!r}" if found else f"there is no table {chosen!r}"
    raise PlanError([f"{fault}: choose one of {listed(plans)}"])


def require_one(plans: Sequence[Plan]) -> Plan:
    """Raises PlanError, which says how to choose."""
    if len(plans) == 1:
        return plans[0]
    raise PlanError(
        [
            f"this takes one table, and the file holds {len(plans)}: choose one with --table, or "
            f'in a notebook with set = "{TABLES}=NAME": {listed(plans)}'
        ]
    )


def listed(plans: Sequence[Plan]) -> str:
    """Such as "1 (amenities), 2 (policies)"."""
    return ", ".join(f"{number} ({name})" for number, name in enumerate(names_of(plans), 1))


def _names(plan: Plan) -> list[str]:
    """Shortest first; the last is that of no other migration."""
    table = plan.table
    where = [f"{table.name} where {table.where}"] if table.where else []
    return list(dict.fromkeys([table.name, table.qualified_name, *where, plan.migration_id]))

"""Reads a params file of one table or of several: a Plan for each, which knows the others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ragkit.errors import PlanError
from ragkit.migration.plan.files import load
from ragkit.migration.plan.plan import Plan
from ragkit.migration.plan.tables.agreement import disagreements
from ragkit.migration.plan.tables.choice import choose, names_of, split_choice
from ragkit.migration.plan.tables.entries import TABLES, Entry, split


def load_plans(path: Path, overrides: Sequence[str] = ()) -> list[Plan]:
    """As plans_of, from a file."""
    return plans_of(load.read_sections(path), overrides)


def plans_of(values: Mapping[str, Any], overrides: Sequence[str] = ()) -> list[Plan]:
    """A plan for each table, in order. Of `overrides`, "tables=NAME" chooses one of them, and the
    others are set in each. Raises PlanError with all faults."""
    chosen, others = split_choice(overrides)
    if TABLES in values:
        plans = relate(_of_entries(split(values), others))
    else:
        plans = [Plan.of(values, others)]
    return [choose(plans, chosen)] if chosen else plans


def relate(plans: Sequence[Plan]) -> list[Plan]:
    """Each with the others as its siblings, and with its name among them. Raises PlanError for
    plans that cannot be switched together."""
    if faults := list(disagreements(plans)):
        raise PlanError(faults)
    if len(plans) == 1:
        return list(plans)
    named = [
        plan.among(number, name)
        for number, (plan, name) in enumerate(zip(plans, names_of(plans), strict=True), 1)
    ]
    return [plan.beside([other for other in named if other is not plan]) for plan in named]


def _of_entries(entries: Sequence[Entry], overrides: Sequence[str]) -> list[Plan]:
    """Raises PlanError; a fault of every entry is told once, as one of the file."""
    plans, faults = [], {}
    for entry in entries:
        try:
            plans.append(Plan.of(entry.sections, overrides))
        except PlanError as error:
            faults[entry.place] = error.faults
    if not faults:
        return plans
    in_all = [
        fault
        for fault in next(iter(faults.values()))
        if len(entries) > 1 and all(fault in found for found in faults.values())
    ]
    shared = in_all if len(faults) == len(entries) else []
    own = [
        f"{place}: {fault}"
        for place, found in faults.items()
        for fault in found
        if fault not in shared
    ]
    raise PlanError([*shared, *own])

"""Which way a question goes: to the complete column, or to the rescued search while it fills."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.embedding.catalogue import Model
from ragkit.errors import DamagedContract, RescueRefused, SpaceNotReady
from ragkit.retrieval import contract
from ragkit.retrieval.rescue.plan import RescuePlan, read_plan
from ragkit.retrieval.space import READY, Binding

NATIVE, RESCUE = "native", "rescue"
log = logging.getLogger(__name__)
_IS_VALID = sa.text("select indisvalid from pg_index where indexrelid = to_regclass(:index)")


@dataclass(frozen=True)
class Route:
    """The binding, whether a contract gave it, and how it is rescued; None for the native way.
    `old` is the column that the rescue's bridge leads to, if it has one."""

    binding: Binding
    in_contract: bool
    rescue: RescuePlan | None = None
    old: Binding | None = None


def find_route(
    connection: sa.Connection, table: str, model: Model, stock: Mapping[str, str]
) -> Route:
    """As the contract says. Raises ContractError, such as RescueRefused."""
    binding, in_contract = contract.find_binding(connection, table, model, stock)
    _require_column(connection, binding)
    plan = _read_plan(connection, binding) if in_contract else None
    if plan and not _is_complete(connection, binding, plan):
        if not plan.refused:
            bindings = contract.read_bindings(connection, table)
            old = next((b for b in bindings if b.column == plan.old_column), None)
            return Route(binding, in_contract, plan, old)
        if binding.state != READY:
            raise RescueRefused(plan.refused)
    contract.require_ready(binding)
    return Route(binding, in_contract)


def _read_plan(connection: sa.Connection, binding: Binding) -> RescuePlan | None:
    """A complete column does not need it. Raises DamagedContract."""
    try:
        return read_plan(connection, binding)
    except DamagedContract as error:
        if binding.state != READY:
            raise
        log.warning("%s", error)
        return None


def _is_complete(connection: sa.Connection, binding: Binding, plan: RescuePlan) -> bool:
    """Before the index is valid, a search would read the whole table."""
    if binding.state != READY:
        return False
    return not plan.index or bool(connection.scalar(_IS_VALID, {"index": plan.index}))


def _require_column(connection: sa.Connection, binding: Binding) -> None:
    table, column = binding.stored_in
    names = contract.column_names(connection, table).values()
    if not names:
        raise SpaceNotReady(f"the database has no table {table}")
    if column not in names:
        raise SpaceNotReady(
            f"{table} has no column {column} for {binding.space.model} yet: run the migration"
        )

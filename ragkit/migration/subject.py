"""A Migration: the plan, checked against the database it is about."""

from dataclasses import dataclass
from functools import cached_property

import sqlalchemy as sa

from ragkit import contract
from ragkit.contract import Binding, Space
from ragkit.database import plain_errors
from ragkit.embedders import model_of
from ragkit.migration import ledger, preflight
from ragkit.migration.plan import Plan
from ragkit.search import column_type


@dataclass(frozen=True)
class Migration:
    """One table, key and content text, from the old space and column to the new ones."""

    plan: Plan
    engine: sa.Engine
    old: Binding
    new: Binding
    key_type: str

    @classmethod
    def open(cls, plan: Plan, engine: sa.Engine) -> "Migration":
        """Changes nothing. Raises SchemaError, ConfigError, ModelError or DatabaseUnavailable."""
        old = _binding(plan, plan.old_model, plan.old_column, contract.READY)
        new = _binding(plan, plan.new_model, plan.new_column, contract.FILLING)
        with plain_errors("opening the migration"), engine.connect() as connection:
            retired = ledger.phase(connection, cls.name_of(plan)) == ledger.RETIRED
            key_type = preflight.check(connection, plan, old, new, retired)
        return cls(plan, engine, old, new, key_type)

    @property
    def id(self) -> str:
        return self.name_of(self.plan)

    @staticmethod
    def name_of(plan: Plan) -> str:
        """What the ledger calls this migration."""
        return f"{plan.qualified}: {plan.old_column} -> {plan.new_column}"

    @cached_property
    def table(self) -> sa.TableClause:
        """Key, content, label, old and new column, as `.c.key` and so on by their real names."""
        plan = self.plan
        return sa.table(
            plan.table,
            *(sa.column(name) for name in dict.fromkeys((plan.key, plan.content, plan.label))),
            sa.column(plan.old_column, column_type(self.old.space.dimension)),
            sa.column(plan.new_column, column_type(self.new.space.dimension)),
            schema=plan.table_schema,
        )

    @property
    def key(self) -> sa.ColumnClause:
        return self.table.c[self.plan.key]

    @property
    def content(self) -> sa.ColumnClause:
        return self.table.c[self.plan.content]

    @property
    def new_vector(self) -> sa.ColumnClause:
        return self.table.c[self.plan.new_column]

    def reversed(self) -> "Migration":
        """The way back: the old column filled from what is written after the cut-over."""
        swap = {
            "old_model": self.plan.new_model,
            "old_column": self.plan.new_column,
            "new_model": self.plan.old_model,
            "new_column": self.plan.old_column,
        }
        plan = self.plan.model_copy(update=swap)
        return Migration(plan, self.engine, self.new, self.old, self.key_type)

    def record(self, connection: sa.Connection, kind: str, **detail: object) -> None:
        ledger.record(connection, self.id, kind, **detail)


def _binding(plan: Plan, model: str, column: str, state: str) -> Binding:
    space = Space.of(model_of(model), plan.content)
    return Binding(plan.qualified, column, space, plan.distance, state)

"""A Migration: the plan, checked against the database that it is about."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import translate_errors
from ragkit.database.types import vector_type
from ragkit.embedding.load import resolve_model
from ragkit.migration import ledger, phases, preflight
from ragkit.migration.plan import Plan
from ragkit.migration.plan.data import ColumnSection
from ragkit.retrieval.space import FILLING, READY, Binding, Space

LABEL_CHARACTERS = 60
"""Of a row's content, where the plan names no label."""


@dataclass(frozen=True)
class Migration:
    """One table, key and content text, from the old space and column to the new ones.

    `key_type` is the key's type as SQL.
    """

    plan: Plan
    engine: sa.Engine
    old: Binding
    new: Binding
    key_type: str

    @classmethod
    def open(cls, plan: Plan, engine: sa.Engine) -> "Migration":
        """Checks the plan against the database; changes nothing.

        Raises SchemaError with all faults, ConfigError, ModelError or DatabaseUnavailable.
        """
        old = _binding(plan, plan.old, READY)
        new = _binding(plan, plan.new, FILLING)
        with translate_errors("opening the migration"), engine.connect() as connection:
            retired = ledger.phase(connection, plan.migration_id) == phases.RETIRED
            key_type = preflight.check_table(connection, plan, old, new, retired)
        return cls(plan, engine, old, new, key_type)

    @property
    def id(self) -> str:
        return self.plan.migration_id

    def phase(self) -> str:
        """The current phase. Raises DatabaseError."""
        with translate_errors("reading the phase"), self.engine.connect() as connection:
            return ledger.phase(connection, self.id)

    def require_phase(self, step: str) -> str:
        """The current phase. Raises PhaseError when `step` may not run in it."""
        phase = self.phase()
        phases.require_phase(step, phase)
        return phase

    def record(self, kind: str, **detail: object) -> None:
        """Appends an event to the ledger. Raises PhaseError or DatabaseError."""
        with translate_errors("writing the ledger"), self.engine.begin() as connection:
            ledger.record(connection, self.id, kind, **detail)

    @cached_property
    def table(self) -> sa.TableClause:
        """The table with the columns that the plan names, as `.c[name]`."""
        names = self.plan.table
        texts = (names.key, names.content, names.label, names.category)
        columns: dict[str, sa.ColumnClause[Any]] = {n: sa.column(n) for n in texts if n}
        for binding in (self.old, self.new):
            vector = vector_type(binding.space.dimension)
            columns[binding.column] = sa.column(binding.column, vector)
        return sa.table(names.name, *columns.values(), schema=names.schema_name)

    @property
    def quoted_table(self) -> str:
        """The table's name as SQL."""
        return quote_identifier(self.plan.table.schema_name, self.plan.table.name)

    @property
    def key(self) -> sa.ColumnElement[Any]:
        return self.table.c[self.plan.table.key]

    @property
    def key_text(self) -> sa.ColumnElement[str]:
        """The key in its text form, by which rows are known outside of the database."""
        return sa.cast(self.key, sa.Text)

    @property
    def content(self) -> sa.ColumnElement[Any]:
        return self.table.c[self.plan.table.content]

    @property
    def label(self) -> sa.ColumnElement[str]:
        """A short name of a row: the label column, else the start of the content."""
        if name := self.plan.table.label:
            return sa.cast(self.table.c[name], sa.Text)
        return sa.func.left(self.content, LABEL_CHARACTERS)

    @property
    def old_vector(self) -> sa.ColumnElement[Any]:
        return self.table.c[self.old.column]

    @property
    def new_vector(self) -> sa.ColumnElement[Any]:
        return self.table.c[self.new.column]

    def select(self, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
        return sa.select(*columns).select_from(self.table)

    def sample(self, *columns: sa.ColumnElement[Any], limit: int) -> sa.Select[Any]:
        """At most `limit` rows, the same ones each time, spread over the table."""
        return self.select(*columns).order_by(sa.func.md5(self.key_text)).limit(limit)

    def reversed(self) -> "Migration":
        """The way back: the old column filled from what is written after the cut-over."""
        return Migration(self.plan.reversed(), self.engine, self.new, self.old, self.key_type)


def _binding(plan: Plan, side: ColumnSection, state: str) -> Binding:
    space = Space.of(resolve_model(side.model), plan.table.content)
    return Binding(plan.table.qualified_name, side.column, space, plan.table.distance, state)

"""A Migration: the plan, checked against the database that it is about."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.database.connecting import describe
from ragkit.database.translate import translate_errors
from ragkit.database.types import vector_type
from ragkit.errors import ConfigError
from ragkit.migration import ledger, phases, preflight
from ragkit.migration.plan import Plan
from ragkit.migration.schema.bindings import asked_binding, known_binding
from ragkit.migration.swap.names import current_plan
from ragkit.migration.terms.reading import read_terms
from ragkit.migration.terms.row import Row
from ragkit.migration.terms.terms import Terms
from ragkit.retrieval.space import FILLING, READY, Binding


@dataclass(frozen=True)
class Migration(Row):
    """One table, key and content text, from the old space and column to the new ones.

    The columns of `plan` have the names that they have now, not those of the params file.
    `known_old` and `known_new` are None for a plug-in whose dimension nothing in the database
    tells yet.
    """

    plan: Plan
    engine: sa.Engine
    known_old: Binding | None
    known_new: Binding | None
    terms: Terms

    @classmethod
    def open(cls, plan: Plan, engine: sa.Engine) -> "Migration":
        """Checks the plan against the database; changes nothing, and calls no model.

        Raises ConfigError for another database than the plan expects, SchemaError with all faults
        or DatabaseUnavailable.
        """
        _require_expected(plan, describe(engine.url))
        with translate_errors("opening the migration"), engine.connect() as connection:
            preflight.check_privileges(connection, plan)
            plan = current_plan(connection, plan)
            terms = read_terms(connection, plan.table)
            old = known_binding(connection, plan, plan.old, READY, terms)
            new = known_binding(connection, plan, plan.new, FILLING, terms)
            phase = ledger.phase(connection, plan.migration_id)
            preflight.check_table(connection, plan, terms, old, new, phase)
        return cls(plan, engine, old, new, terms)

    def follow_names(self) -> bool:
        """Whether the columns were renamed since they were last looked at, here or by another
        process. In place: an app that is being asked, and a status card, hold this migration too.
        Raises DatabaseError."""
        with translate_errors("reading the columns' names"), self.engine.connect() as connection:
            plan = current_plan(connection, self.plan)
        if plan == self.plan:
            return False
        here = vars(self)
        for name, side in (("old", plan.old), ("new", plan.new)):
            for kept in (name, f"known_{name}"):
                if binding := here.get(kept):
                    here[kept] = replace(binding, column=side.column)
        here["plan"] = plan
        return True

    @property
    def id(self) -> str:
        return self.plan.migration_id

    @property
    def database(self) -> str:
        """Such as "shop at db.example.com"."""
        return describe(self.engine.url)

    def require_named_database(self, step: str) -> None:
        """For steps that a variable of the environment alone must not send to another database.

        Raises ConfigError when the plan does not name its database.
        """
        section = self.plan.database
        if section.url == "env" and not section.expect:
            raise ConfigError(
                f"{step} needs the database's name in the params file, so that no environment "
                f"variable leads it to another one: if this is the one you mean, set "
                f"database.expect: {self.database}"
            )

    @cached_property
    def old(self) -> Binding:
        """Raises ModelError or ConfigError when only a plug-in can tell, and does not."""
        return self.known_old or asked_binding(self.plan, self.plan.old, READY, self.terms)

    @cached_property
    def new(self) -> Binding:
        """Raises ModelError or ConfigError when only a plug-in can tell, and does not."""
        return self.known_new or asked_binding(self.plan, self.plan.new, FILLING, self.terms)

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

    @property
    def table(self) -> sa.TableClause:
        """The table with the columns that the plan names, as `.c[name]`: one object, so that a
        query never has it twice, also when another thread follows the names or learns a dimension
        from a model."""
        table, plan = self._made_table, self.plan
        for name in (plan.old.column, plan.new.column):
            if name not in table.c:
                table.append_column(sa.column(name, VECTOR()))
        if self._has_dimensions():
            for name, binding in ((plan.old.column, self.old), (plan.new.column, self.new)):
                table.c[name].type = vector_type(binding.space.dimension)
        return table

    def _has_dimensions(self) -> bool:
        """Whether both are known without a call of a model."""
        asked = vars(self)
        return bool((self.known_old or "old" in asked) and (self.known_new or "new" in asked))

    @cached_property
    def _made_table(self) -> sa.TableClause:
        return self._make_table()

    def _make_table(self) -> sa.TableClause:
        names = self.plan.table
        content = names.content if self.terms.content.is_column else ""
        texts = (*names.keys, content, names.label, names.category)
        columns: dict[str, sa.ColumnClause[Any]] = {n: sa.column(n) for n in texts if n}
        for side in (self.plan.old, self.plan.new):
            columns[side.column] = sa.column(side.column, VECTOR())
        return sa.table(names.name, *columns.values(), schema=names.schema_name)

    def reversed(self) -> "Migration":
        """The way back: the old column filled from what is written after the cut-over."""
        return Migration(
            self.plan.reversed(), self.engine, self.known_new, self.known_old, self.terms
        )


def _require_expected(plan: Plan, database: str) -> None:
    if plan.database.expect not in ("", database):
        raise ConfigError(
            f"database.expect is {plan.database.expect!r}, but the connection leads to "
            f"{database!r}: check the environment, or change database.expect; nothing was changed"
        )

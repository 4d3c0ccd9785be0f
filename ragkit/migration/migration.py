"""A Migration: the plan, checked against the database that it is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR
from sqlalchemy.types import TypeEngine

from ragkit.database.connecting import describe
from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import translate_errors
from ragkit.database.types import vector_type
from ragkit.errors import ConfigError
from ragkit.migration import ledger, phases, preflight
from ragkit.migration.plan import Plan
from ragkit.migration.schema.bindings import asked_binding, known_binding, place_beside
from ragkit.migration.schema.side_table.lookup import look_up
from ragkit.migration.terms.reading import read_terms
from ragkit.migration.terms.terms import Terms
from ragkit.retrieval import side_table
from ragkit.retrieval.contract import regclass
from ragkit.retrieval.side_table import SideTable
from ragkit.retrieval.space import FILLING, READY, Binding

LABEL_CHARACTERS = 60
"""Of a row's content, where the plan names no label."""


@dataclass(frozen=True)
class Migration:
    """One table, key and content text, from the old space and column to the new ones.

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
            terms = read_terms(connection, plan.table)
            old = known_binding(connection, plan, plan.old, READY, terms)
            new = known_binding(connection, plan, plan.new, FILLING, terms)
            phase = ledger.phase(connection, plan.migration_id)
            preflight.check_table(connection, plan, terms, old, new, phase)
        return cls(plan, engine, old, new, terms)

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
        """The table with the columns that the plan names, as `.c[name]`."""
        return self._typed_table if self._has_dimensions() else self._untyped_table

    @cached_property
    def _typed_table(self) -> sa.TableClause:
        return self._table(
            vector_type(self.old.space.dimension), vector_type(self.new.space.dimension)
        )

    @cached_property
    def _untyped_table(self) -> sa.TableClause:
        return self._table(VECTOR(), VECTOR())

    def _has_dimensions(self) -> bool:
        """Whether both are known without a call of a model."""
        asked = vars(self)
        return bool((self.known_old or "old" in asked) and (self.known_new or "new" in asked))

    def _table(self, old: TypeEngine[Any], new: TypeEngine[Any]) -> sa.TableClause:
        names = self.plan.table
        content = "" if names.is_expression else names.content
        texts = (*names.keys, content, names.label, names.category)
        columns: dict[str, sa.ColumnClause[Any]] = {n: sa.column(n) for n in texts if n}
        columns[self.plan.old.column] = sa.column(self.plan.old.column, old)
        columns[self.plan.new.column] = sa.column(self.plan.new.column, new)
        return sa.table(names.name, *columns.values(), schema=names.schema_name)

    @property
    def quoted_table(self) -> str:
        """The table's name as SQL."""
        return quote_identifier(self.plan.table.schema_name, self.plan.table.name)

    @property
    def key(self) -> sa.ColumnElement[Any]:
        """A key of one column."""
        [name] = self.terms.key.names
        return self.table.c[name]

    @property
    def key_type(self) -> str:
        """Of a key of one column, as SQL."""
        [kind] = self.terms.key.types
        return kind

    @property
    def key_text(self) -> sa.ColumnElement[str]:
        """The key in its text form, by which rows are known outside of the database."""
        if len(self.terms.key.names) == 1:
            return sa.cast(self.key, sa.Text)
        return sa.literal_column(self.terms.key.text_of(self.quoted_table), sa.Text())

    def has_key(self, texts: Sequence[str]) -> sa.ColumnElement[bool]:
        """Whether a row has one of these keys, by their text forms."""
        return self.terms.key.is_one_of(self._key_columns, texts)

    def has_key_in(self, given: sa.Subquery) -> sa.ColumnElement[bool]:
        """As has_key, for the text forms in the column `key` of a query."""
        return self.terms.key.is_in(self._key_columns, given)

    @property
    def key_tuple(self) -> sa.ColumnElement[Any]:
        """Its columns, for a comparison with those of a query."""
        columns = self._key_columns
        return sa.tuple_(*columns) if len(columns) > 1 else columns[0]

    @property
    def _key_columns(self) -> list[sa.ColumnElement[Any]]:
        return [self.table.c[name] for name in self.terms.key.names]

    @property
    def content(self) -> sa.ColumnElement[Any]:
        if self.terms.content.is_column:
            return self.table.c[self.plan.table.content]
        return sa.literal_column(self.terms.content.of(self.quoted_table), sa.Text())

    @property
    def where(self) -> str:
        """The condition on columns under which a row is migrated, as SQL; "" for every row."""
        return self.terms.where.sql if self.terms.where else ""

    @property
    def is_in_scope(self) -> sa.ColumnElement[bool]:
        """Whether a row is one of those that are migrated."""
        if where := self.terms.where:
            return sa.literal_column(where.of(self.quoted_table), sa.Boolean())
        return sa.true()

    @property
    def label(self) -> sa.ColumnElement[str]:
        """A short name of a row: the label column, else the start of the content."""
        if name := self.plan.table.label:
            return sa.cast(self.table.c[name], sa.Text)
        return sa.func.left(self.content, LABEL_CHARACTERS)

    @property
    def old_vector(self) -> sa.ColumnElement[Any]:
        return self.vector(self.plan.old.column)

    @property
    def new_vector(self) -> sa.ColumnElement[Any]:
        return self.vector(self.plan.new.column)

    def vector(self, name: str) -> sa.ColumnElement[Any]:
        """The old or the new vectors, by their column, for each row; NULL where there is none."""
        side = self.plan.new if name == self.plan.new.column else self.plan.old
        column = self.table.c[name]
        if not side.is_beside:
            return column
        place = place_beside(self.plan, side)
        return look_up(place, self.table, self.key, self.content, column)

    @property
    def new_side(self) -> SideTable | None:
        """Where the new vectors are, unless they are in the table itself."""
        return place_beside(self.plan, self.plan.new) if self.plan.new.is_beside else None

    @property
    def new_place(self) -> tuple[str, str]:
        """The table as SQL, and the name of the column that hold the new vectors."""
        if side := self.new_side:
            return regclass(side.name), side_table.VECTOR
        return self.quoted_table, self.plan.new.column

    def select(self, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """Of the rows that are migrated."""
        query = sa.select(*columns).select_from(self.table)
        return query.where(self.is_in_scope) if self.terms.where else query

    def sample(self, *columns: sa.ColumnElement[Any], limit: int) -> sa.Select[Any]:
        """At most `limit` rows, the same ones each time, spread over the table."""
        return self.select(*columns).order_by(sa.func.md5(self.key_text)).limit(limit)

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

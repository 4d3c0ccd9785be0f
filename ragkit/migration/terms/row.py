"""A row in SQL: its key, its text, its label and its vectors, wherever they are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.migration.plan import Plan
from ragkit.migration.schema.bindings import place_beside
from ragkit.migration.schema.side_table.lookup import look_up
from ragkit.migration.terms.beside_values import as_column
from ragkit.migration.terms.terms import Terms
from ragkit.retrieval import side_table
from ragkit.retrieval.contract import regclass
from ragkit.retrieval.side_table import SideTable

LABEL_CHARACTERS = 60
"""Of a row's content, where the plan names no label."""


class Row:
    """Of the plan's table, in the terms that PostgreSQL has read from the plan."""

    if TYPE_CHECKING:  # what a migration has: a field of it would take a property for its default

        @property
        def plan(self) -> Plan: ...
        @property
        def terms(self) -> Terms: ...
        @property
        def table(self) -> sa.TableClause: ...

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
        return as_column(self.terms.content.of(self.quoted_table), sa.Text())

    @property
    def where(self) -> str:
        """The condition on columns under which a row is migrated, as SQL; "" for every row."""
        return self.terms.where.sql if self.terms.where else ""

    @property
    def is_in_scope(self) -> sa.ColumnElement[bool]:
        """Whether a row is one of those that are migrated."""
        if where := self.terms.where:
            return as_column(where.of(self.quoted_table), sa.Boolean())
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

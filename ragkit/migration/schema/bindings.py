"""The binding of a plan's old or new side: its vectors' space and place.

A model of the catalogue tells its dimension; of a plug-in, the contract or the column may.
"""

from dataclasses import replace

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.embedding.catalogue import find_model, is_known, is_plugin
from ragkit.embedding.load import resolve_model
from ragkit.migration.plan import Plan
from ragkit.migration.plan.data import ColumnSection
from ragkit.migration.schema.consistency import short_name
from ragkit.migration.terms.terms import Terms
from ragkit.retrieval import contract
from ragkit.retrieval.contract import SCHEMA
from ragkit.retrieval.side_table import SideTable
from ragkit.retrieval.space import Binding, Space

_DIMENSION = sa.text("""
    select a.atttypmod from pg_attribute a join pg_type t on t.oid = a.atttypid
    where a.attrelid = to_regclass(:table) and a.attname = :column and not a.attisdropped
      and t.typname in ('vector', 'halfvec')
""")


def known_binding(
    connection: sa.Connection, plan: Plan, side: ColumnSection, state: str, terms: Terms
) -> Binding | None:
    """From the catalogue; for a plug-in, from the contract or from the column's type."""
    table, template = plan.table.qualified_name, plan.template(side)
    if not is_plugin(side.model):
        space = Space.of(find_model(side.model, plan.facts), template)
        return _binding(plan, side, space, state, terms)
    where = terms.where.sql if terms.where else ""
    bindings = contract.read_bindings(connection, table)
    bound = {b.column: b.space for b in bindings if b.where == where}
    if side.column in bound and not is_known(bound[side.column].model):
        return _binding(plan, side, replace(bound[side.column], template=template), state, terms)
    dimension = connection.scalar(_DIMENSION, {"table": _quoted(plan), "column": side.column})
    if dimension is None:
        return None
    if dimension < 1 and not (dimension := _first_dimension(connection, plan, side.column)):
        return None
    return _binding(plan, side, Space(side.model, None, dimension, template), state, terms)


def _first_dimension(connection: sa.Connection, plan: Plan, column: str) -> int | None:
    """Of a column whose type names none, as LangChain makes it: that of one of its vectors."""
    vector = quote_identifier(column)
    dimension: int | None = connection.exec_driver_sql(
        f"select vector_dims({vector}) from {_quoted(plan)} where {vector} is not null limit 1"
    ).scalar()
    return dimension


def asked_binding(plan: Plan, side: ColumnSection, state: str, terms: Terms) -> Binding:
    """From the model itself."""
    space = Space.of(resolve_model(side.model, plan.facts), plan.template(side))
    return _binding(plan, side, space, state, terms)


def _binding(plan: Plan, side: ColumnSection, space: Space, state: str, terms: Terms) -> Binding:
    beside = place_beside(plan, side) if side.is_beside else None
    return Binding(
        plan.table.qualified_name,
        side.column,
        space,
        plan.table.distance,
        state,
        side=beside,
        where=terms.where.sql if terms.where else "",
    )


def place_beside(plan: Plan, side: ColumnSection) -> SideTable:
    """By table and column, so that the next migration finds it too."""
    name = short_name("vectors", f"{plan.table.qualified_name}: {side.column}")
    return SideTable(f"{SCHEMA}.{name}", plan.table.keys[0], plan.table.content)


def _quoted(plan: Plan) -> str:
    return quote_identifier(plan.table.schema_name, plan.table.name)

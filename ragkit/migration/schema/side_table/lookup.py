"""The vectors of a side table, beside the rows of the table that they belong to."""

from typing import Any

import sqlalchemy as sa

from ragkit.database.types import CatalogType
from ragkit.retrieval.side_table import DIGEST, KEY, VECTOR, SideTable


def look_up(
    place: SideTable,
    table: sa.TableClause,
    key: sa.ColumnElement[Any],
    content: sa.ColumnElement[Any],
    column: sa.ColumnClause[Any],
) -> sa.ColumnElement[Any]:
    """For each row of `table` the vector of its text, with the name and type of `column`; NULL
    where there is none.

    Row by row, by the key: a join would let the planner read the whole side table for a few rows.
    """
    schema, name = place.name.split(".")
    columns: list[sa.ColumnClause[Any]] = [sa.column(KEY), sa.column(VECTOR, column.type)]
    stored = sa.table(name, *columns, sa.column(DIGEST), schema=schema).c
    utf8 = sa.func.convert_to(content, sa.literal_column("'UTF8'"))
    is_current = stored[DIGEST] == sa.cast(sa.func.md5(utf8), CatalogType("uuid"))
    found = sa.select(stored[VECTOR]).where(stored[KEY] == key, is_current)
    return found.correlate(table).scalar_subquery().label(column.name)

"""One table may hold several collections, and each may have a model of its own."""

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier, quote_literal
from ragkit.database.translate import translate_errors
from ragkit.migration.discovery.answers import Answers, Ask, Question
from ragkit.migration.discovery.presets.preset import Preset
from ragkit.migration.discovery.tables import VectorTable
from ragkit.migration.terms.expression import Expression

SAMPLE_ROWS = 10_000


def choose_where(
    engine: sa.Engine, table: VectorTable, preset: Preset | None, answers: Answers, ask: Ask
) -> str:
    """The condition on the rows that are migrated, as table.where has it; "" for all rows.

    Of a table of several dimensions it must be one collection. Raises ConfigError when nobody says
    which, or DatabaseError.
    """
    if answers.where or not (preset and preset.collections) or table.dimension:
        return answers.where
    name, vector = quote_identifier(preset.collections), quote_identifier(table.column)
    rows = f"select {name} as name, {vector} as vector from {table.regclass}"
    query = (
        f"select distinct name::text, vector_dims(vector) from ({rows} where {vector} is not null "
        f"limit {SAMPLE_ROWS}) as rows order by 1, 2"
    )
    with translate_errors("looking at collections"), engine.connect() as connection:
        found = [(row[0], row[1]) for row in connection.exec_driver_sql(query)]
    if len({dimension for _, dimension in found}) < 2:
        return ""
    text = (
        f"the table holds vectors of several models ({_describe(found)}): which collection is to "
        "be migrated?"
    )
    named = dict.fromkeys(collection for collection, _ in found if collection)
    return ask(Question("where", text, [f"{name} = {quote_literal(key)}" for key in named]))


def as_expression(table: VectorTable, where: str) -> Expression | None:
    """A condition that may read every column of the table; None for every row."""
    if not where:
        return None
    names = tuple(table.columns)
    return Expression(f"({where})", names, tuple(table.columns.values()), "boolean")


def _describe(found: list[tuple[str, int]]) -> str:
    return ", ".join(f"{name}: {dimension} dimensions" for name, dimension in found)

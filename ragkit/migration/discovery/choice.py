"""Which table is migrated, and whether it can be."""

from collections.abc import Sequence

from ragkit.errors import ConfigError, SchemaError
from ragkit.migration.discovery.answers import Answers, Ask, Question
from ragkit.migration.discovery.presets.preset import Preset
from ragkit.migration.discovery.shape import TextColumn
from ragkit.migration.discovery.tables import USABLE, VectorTable


def choose_table(
    tables: Sequence[VectorTable], answers: Answers, ask: Ask, database: str
) -> VectorTable:
    """The table that is to be migrated. Raises ConfigError or SchemaError, with the way out."""
    if not tables:
        raise SchemaError(
            f"{database} has no vector column (of type vector or halfvec): is it the right "
            "database, and is pgvector there?"
        )
    chosen = [t for t in tables if answers.table in ("", t.name, t.qualified_name)]
    chosen = [t for t in chosen if answers.column in ("", t.column)]
    if not chosen:
        raise ConfigError(f"no such vector column; there are: {', '.join(map(str, tables))}")
    if plain := [t for t in chosen if t.kind in USABLE and not t.grants]:
        if len(plain) == 1:
            return _checked(plain[0])
        named = {f"{t.qualified_name}.{t.column}": t for t in plain}
        text = "which table and vector column is to be migrated? --table and --column name it"
        answer = ask(Question("table", text, list(named)))
        if answer not in named:
            raise ConfigError(f"expected one of {', '.join(named)}, got {answer!r}")
        return _checked(named[answer])
    first = chosen[0]
    if first.grants:
        raise SchemaError(f"this role may not read {first}: {' '.join(first.grants)}", first.grants)
    raise SchemaError(f"{first} is a {first.kind}: ragkit migrates tables; name one")


def _checked(table: VectorTable) -> VectorTable:
    if not table.keys and not table.composite:
        remedy = (
            f"ALTER TABLE {table.regclass} ADD COLUMN id bigint GENERATED ALWAYS AS "
            "IDENTITY PRIMARY KEY; (it rewrites the table)"
        )
        if table.kind != "table":
            remedy = "partition it by a column that is unique and NOT NULL"
        raise SchemaError(
            f"{table.qualified_name} has no column that is unique and NOT NULL, by which a row is "
            f"known: {remedy}"
        )
    return table


def require_texts(
    table: VectorTable, texts: list[TextColumn], preset: Preset | None
) -> list[TextColumn]:
    """The texts; raises SchemaError where there is none that could be embedded."""
    inside = preset.json if preset else ""
    if preset and inside and all(text.name in table.texts for text in texts):
        raise SchemaError(
            f"{table.qualified_name} is a table of {preset.name} without a text: none is in "
            f"{inside} under {', '.join(preset.keys)}. ragkit embeds only what the table holds: "
            "put the text there, or let the app index it again"
        )
    if not texts:
        raise SchemaError(f"{table.qualified_name} has no text column that could be embedded")
    return texts

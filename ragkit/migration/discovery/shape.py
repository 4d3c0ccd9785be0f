"""What the columns of a table are for: which is the key, the text, the label, the category.

By the names that a framework gives them, else by what a sample of the rows holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.migration.discovery.presets.preset import Preset
from ragkit.migration.discovery.tables import VectorTable

SAMPLE_ROWS = 1000
LABEL_CHARACTERS = 100
MAX_CATEGORIES = 30
LABELS = ("name", "title", "label", "heading", "headline", "subject")
CATEGORIES = ("category", "kind", "type", "department", "topic", "section", "genre", "brand",
              "language", "lang")  # fmt: skip
CONTENTS = ("content", "text", "body", "document", "chunk", "description", "abstract", "passage")


@dataclass(frozen=True)
class TextColumn:
    """A column, or an expression in parentheses, by `name`. Of the sampled rows: the share that
    holds a text, and of these texts the mean length in characters and the number of different
    ones."""

    name: str
    filled: float
    length: float
    distinct: int


@dataclass(frozen=True)
class Shape:
    """`contents`: what may hold the embedded text, the likeliest first; `label` and `category` are
    "" where no column fits."""

    contents: list[TextColumn]
    label: str
    category: str


def read_texts(
    engine: sa.Engine, table: VectorTable, preset: Preset | None = None
) -> list[TextColumn]:
    """Of up to SAMPLE_ROWS rows; of the preset's expressions those that some row has. Raises
    DatabaseError."""
    expressions = preset.expressions if preset else []
    if not (table.texts or expressions):
        return []
    source = sa.table(table.name, *map(sa.column, table.texts), schema=table.schema)
    # by number: a column of the table may have any name
    columns = [source.c[name].label(f"c{n}") for n, name in enumerate(table.texts)]
    columns += [sa.literal_column(sql).label(f"e{n}") for n, sql in enumerate(expressions)]
    with translate_errors("sampling texts"), engine.connect() as connection:
        rows = connection.execute(sa.select(*columns).select_from(source).limit(SAMPLE_ROWS)).all()
    names = [*table.texts, *expressions]
    texts = [_summarise(name, [row[n] for row in rows]) for n, name in enumerate(names)]
    return [text for text in texts if text.filled or text.name in table.texts]


def recognise(
    table: VectorTable, texts: Sequence[TextColumn], preset: Preset | None = None
) -> Shape:
    """`texts` as read_texts answers them."""
    preferred = [preset.content] if preset and preset.content else []
    preferred += preset.expressions if preset else []
    contents = sorted(texts, key=lambda t: _likelihood(t, preferred), reverse=True)
    keys = (*table.keys[:1], *table.composite)
    rest = [t for t in texts if t.filled and t.name in table.texts and t.name not in keys]
    rest = [t for t in rest if not contents or t.name != contents[0].name]
    label = _named(rest, LABELS, LABEL_CHARACTERS)
    if not (label or preferred):  # a framework's other short texts are keys of its own
        label = _label_like(rest)
    rest = [t for t in rest if t.name != label]
    return Shape(
        contents,
        label,
        _named([t for t in rest if 2 <= t.distinct <= MAX_CATEGORIES], CATEGORIES, 40),
    )


def _summarise(name: str, texts: Sequence[str | None]) -> TextColumn:
    held = [text for text in texts if text and text.strip()]
    length = sum(map(len, held)) / len(held) if held else 0.0
    filled = len(held) / len(texts) if texts else 0.0
    return TextColumn(name, round(filled, 4), round(length, 1), len(set(held)))


def _likelihood(text: TextColumn, preferred: Sequence[str]) -> tuple[int, bool, float]:
    """A framework's own name first, else a usual name, else the most characters a row."""
    name = text.name.lower()
    place = len(preferred) - preferred.index(name) if name in preferred else 0
    return place, name in CONTENTS and text.filled > 0.5, text.length * text.filled


def _named(texts: Sequence[TextColumn], names: Sequence[str], characters: int) -> str:
    by_name = {t.name.lower(): t.name for t in texts if t.length <= characters}
    return next((by_name[name] for name in names if name in by_name), "")


def _label_like(texts: Sequence[TextColumn]) -> str:
    """Short texts that differ from row to row."""
    like = [t for t in texts if t.length <= LABEL_CHARACTERS / 2 and t.filled > 0.9]
    most = max(like, key=lambda t: t.distinct, default=None)
    return most.name if most and most.distinct > MAX_CATEGORIES else ""

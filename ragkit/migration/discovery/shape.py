"""What the columns of a table are for: which is the key, the text, the label, the category.

By the names that a framework gives them, else by what a sample of the rows holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.migration.discovery.tables import VectorTable

SAMPLE_ROWS = 1000
LABEL_CHARACTERS = 100
MAX_CATEGORIES = 30
LABELS = ("name", "title", "label", "heading", "headline", "subject")
CATEGORIES = ("category", "kind", "type", "department", "topic", "section", "genre", "brand",
              "language", "lang")  # fmt: skip
CONTENTS = ("content", "text", "body", "document", "chunk", "description", "abstract", "passage")


@dataclass(frozen=True)
class Framework:
    """`columns` are the names by which its tables are known, lower case; `content` is its text."""

    name: str
    columns: frozenset[str]
    content: str


FRAMEWORKS = (
    Framework(
        "LangChain PGVector", frozenset({"collection_id", "document", "cmetadata"}), "document"
    ),
    Framework(
        "LangChain PGVectorStore", frozenset({"langchain_id", "langchain_metadata"}), "content"
    ),
    Framework("LlamaIndex", frozenset({"metadata_", "node_id", "text"}), "text"),
    Framework("Haystack", frozenset({"blob_data", "blob_meta", "meta", "content"}), "content"),
    Framework(
        "the Jump Start Solution",
        frozenset({"description", "location", "terminal", "category", "hour", "content"}),
        "content",
    ),
    Framework("Spring AI or Supabase", frozenset({"id", "content", "metadata"}), "content"),
)
"""Source: the CREATE TABLE of each, as of November 2026."""


@dataclass(frozen=True)
class TextColumn:
    """Of the sampled rows: the share that holds a text, and of these texts the mean length in
    characters and the number of different ones."""

    name: str
    filled: float
    length: float
    distinct: int


@dataclass(frozen=True)
class Shape:
    """`framework` is "" when none is recognised; `contents`: columns that may hold the embedded
    text, the likeliest first; `label` and `category` are "" where no column fits."""

    framework: str
    contents: list[TextColumn]
    label: str
    category: str


def read_texts(engine: sa.Engine, table: VectorTable) -> list[TextColumn]:
    """Of up to SAMPLE_ROWS rows. Raises DatabaseError."""
    if not table.texts:
        return []
    source = sa.table(table.name, *map(sa.column, table.texts), schema=table.schema)
    # by number: a column of the table may have any name
    columns = [source.c[name].label(f"c{n}") for n, name in enumerate(table.texts)]
    with translate_errors("sampling texts"), engine.connect() as connection:
        rows = connection.execute(sa.select(*columns).limit(SAMPLE_ROWS)).all()
    return [_summarise(name, [row[n] for row in rows]) for n, name in enumerate(table.texts)]


def recognise(table: VectorTable, texts: Sequence[TextColumn]) -> Shape:
    """`texts` as read_texts answers them."""
    names = {name.lower() for name in table.columns}
    framework = next((f for f in FRAMEWORKS if f.columns <= names), None)
    preferred = (framework.content, *CONTENTS) if framework else CONTENTS
    contents = sorted(texts, key=lambda t: _likelihood(t, preferred), reverse=True)
    rest = [t for t in texts if t.filled and t.name not in (*table.keys[:1], *table.composite)]
    rest = [t for t in rest if not contents or t.name != contents[0].name]
    label = _named(rest, LABELS, LABEL_CHARACTERS) or _label_like(rest)
    rest = [t for t in rest if t.name != label]
    return Shape(
        framework.name if framework else "",
        contents,
        label,
        _named([t for t in rest if 2 <= t.distinct <= MAX_CATEGORIES], CATEGORIES, 40),
    )


def _summarise(name: str, texts: Sequence[str | None]) -> TextColumn:
    held = [text for text in texts if text and text.strip()]
    length = sum(map(len, held)) / len(held) if held else 0.0
    filled = len(held) / len(texts) if texts else 0.0
    return TextColumn(name, round(filled, 4), round(length, 1), len(set(held)))


def _likelihood(text: TextColumn, preferred: Sequence[str]) -> tuple[bool, bool, float]:
    """A framework's own name first, else a usual name, else the most characters a row."""
    name, is_first = text.name.lower(), len(preferred) > len(CONTENTS)
    of_framework = is_first and name == preferred[0]
    return of_framework, name in preferred and text.filled > 0.5, text.length * text.filled


def _named(texts: Sequence[TextColumn], names: Sequence[str], characters: int) -> str:
    by_name = {t.name.lower(): t.name for t in texts if t.length <= characters}
    return next((by_name[name] for name in names if name in by_name), "")


def _label_like(texts: Sequence[TextColumn]) -> str:
    """Short texts that differ from row to row."""
    like = [t for t in texts if t.length <= LABEL_CHARACTERS / 2 and t.filled > 0.9]
    most = max(like, key=lambda t: t.distinct, default=None)
    return most.name if most and most.distinct > MAX_CATEGORIES else ""

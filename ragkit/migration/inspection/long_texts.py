"""Texts that are longer than the new model takes, counted before anything is embedded."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.embedding.catalogue import CHARACTERS_PER_TOKEN
from ragkit.embedding.embedder import Embedder, TokenCounter
from ragkit.embedding.long_texts.split import BYTES_PER_TOKEN, CHARACTERS_AT_ONCE
from ragkit.migration import phases
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import has_text, is_pending

MAX_COUNTED = 10_000
"""Rows whose tokens are counted, in a few seconds. Of more, a sample of so many is."""
CONSEQUENCES = {
    "refuse": "would become dead letters",
    "cut": "are cut: their start is embedded",
    "pieces": "are embedded in pieces",
}


@dataclass(frozen=True)
class TextLengths:
    """Of `rows` texts. `too_long` of them exceed `limit`, in tokens; None: no limit is known.
    `tokens`: of whole texts; `tokens_cut`: of as much as the model takes at once; `pieces`: the
    number of texts when the others are split; `counted_by`: how tokens were counted."""

    limit: int | None
    rows: int
    too_long: int
    tokens: int
    tokens_cut: int
    pieces: int
    counted_by: str

    def describe(self, long_texts: str) -> str:
        """One line. `long_texts`: what becomes of them."""
        if self.limit is None:
            return "the model names no limit"
        above = f"{self.too_long:,} of {self.rows:,} texts"
        share = f" ({self.too_long / self.rows:.1%})" if self.too_long else ""
        line = f"{above}{share} are above {self.limit:,} tokens, by {self.counted_by}"
        return f"{line}; they {CONSEQUENCES[long_texts]}" if self.too_long else line


def pending_lengths(migration: Migration, embedder: Embedder) -> TextLengths:
    """Of the rows that the backfill will embed. Raises DatabaseError."""
    return measure_lengths(migration, embedder, to_embed(migration))


def to_embed(migration: Migration) -> sa.ColumnElement[bool]:
    """True for a pending row. Before expand, every row with a text is pending."""
    if migration.phase() == phases.PLANNED:
        return has_text(migration.content)
    return is_pending(migration)


def measure_lengths(
    migration: Migration, embedder: Embedder, where: sa.ColumnElement[bool]
) -> TextLengths:
    """By the model's own tokenizer where it runs here, else by an estimate. Calls no service.

    Raises DatabaseError.
    """
    limit = embedder.model.max_tokens_per_text
    if limit is not None and isinstance(embedder, TokenCounter):
        return _counted(migration, embedder, limit, where)
    return _estimated(migration, limit, where)


def _estimated(
    migration: Migration, limit: int | None, where: sa.ColumnElement[bool]
) -> TextLengths:
    """Limits by bytes, as texts are split; tokens by characters, as prices are stated."""
    content, bytes_a_token = migration.content, float(BYTES_PER_TOKEN[0])
    characters = sa.cast(sa.func.length(content), sa.Float)
    parts = sa.cast(sa.func.octet_length(content), sa.Float) / (bytes_a_token * (limit or 1))
    at_once: sa.ColumnElement[Any] = characters
    if limit:
        at_once = sa.func.least(characters, float(CHARACTERS_PER_TOKEN * limit))
    query = migration.select(
        sa.func.count(),
        sa.func.count().filter(parts > 1) if limit else sa.literal(0),
        sa.func.coalesce(sa.func.sum(characters), 0.0),
        sa.func.coalesce(sa.func.sum(at_once), 0.0),
        sa.func.coalesce(sa.func.sum(sa.func.ceil(parts)), 0.0) if limit else sa.func.count(),
    ).where(where)
    with translate_errors("measuring texts"), migration.engine.connect() as connection:
        rows, too_long, whole, cut, pieces = connection.execute(query).one()
    return TextLengths(
        limit,
        rows,
        too_long,
        tokens=ceil(whole / CHARACTERS_PER_TOKEN),
        tokens_cut=ceil(cut / CHARACTERS_PER_TOKEN),
        pieces=int(pieces),
        counted_by=f"an estimate of {bytes_a_token:g} bytes a token",
    )


def _counted(
    migration: Migration, counter: TokenCounter, limit: int, where: sa.ColumnElement[bool]
) -> TextLengths:
    """A text cannot have more tokens than bytes, so short ones are not counted."""
    content, room = migration.content, limit - counter.special_tokens
    may_be_long = sa.func.octet_length(content) > room
    short = sa.func.sum(sa.func.length(content)).filter(~may_be_long)
    totals = migration.select(
        sa.func.count(), sa.func.count().filter(may_be_long), sa.func.coalesce(short, 0)
    ).where(where)
    with translate_errors("measuring texts"), migration.engine.connect() as connection:
        rows, candidates, short_characters = connection.execute(totals).one()
        counts = list(_token_counts(connection, migration, counter, room, where & may_be_long))
    scale = candidates / len(counts) if counts else 0.0
    tokens = short_characters / CHARACTERS_PER_TOKEN
    counted_by = "the model's tokenizer"
    if len(counts) < candidates:
        counted_by += f" in a sample of {len(counts):,}"
    return TextLengths(
        limit,
        rows,
        too_long=round(scale * sum(count > room for count in counts)),
        tokens=ceil(tokens + scale * sum(counts)),
        tokens_cut=ceil(tokens + scale * sum(min(count, room) for count in counts)),
        pieces=rows - candidates + round(scale * sum(ceil(count / room) or 1 for count in counts)),
        counted_by=counted_by,
    )


def _token_counts(
    connection: sa.Connection,
    migration: Migration,
    counter: TokenCounter,
    room: int,
    where: sa.ColumnElement[bool],
) -> Iterator[float]:
    """Of up to MAX_COUNTED texts. Of a very long one, the start is counted, and the rest is
    extrapolated."""
    content = migration.content
    start = sa.func.left(content, CHARACTERS_AT_ONCE * room)
    query = migration.sample(start, sa.func.length(content), limit=MAX_COUNTED).where(where)
    for text, length in connection.execution_options(yield_per=256).execute(query):
        yield len(counter.token_spans(text)) * length / max(len(text), 1)

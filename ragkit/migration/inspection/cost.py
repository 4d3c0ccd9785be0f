"""What the backfill will cost, before it starts: requests, tokens, money and minutes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.embedding.long_texts.embedder import LongTexts, for_rows
from ragkit.embedding.long_texts.split import limits_of
from ragkit.migration.backfill.embed import embed_texts
from ragkit.migration.backfill.metering import Quota
from ragkit.migration.inspection.long_texts import TextLengths, measure_lengths, to_embed
from ragkit.migration.migration import Migration

SAMPLE_TEXTS = 32
"""Embedded to measure the new model's speed."""
PATIENCE_SECONDS = 60.0
"""For a busy model."""


@dataclass(frozen=True)
class CostEstimate:
    """For the rows that are still pending: tokens by the model's tokenizer, else at 4 characters
    each; minutes by the speed of a sample and the quota; money at the catalogue's price."""

    rows: int
    requests: int
    tokens: int
    usd: float
    price_as_of: str
    minutes: float


def estimate_cost(migration: Migration, embedder: Embedder) -> CostEstimate:
    """Embeds up to SAMPLE_TEXTS pending texts to measure the speed; writes nothing.

    Raises ModelError or DatabaseError.
    """
    model, long_texts = embedder.model, migration.plan.new.long_texts
    pending = to_embed(migration)
    lengths = measure_lengths(migration, embedder, pending)
    sample = migration.select(migration.content).where(pending).limit(SAMPLE_TEXTS)
    with translate_errors("estimating the cost"), migration.engine.connect() as connection:
        texts = list(connection.scalars(sample))
    tokens, sent = _sent(lengths, long_texts)
    requests = max(
        ceil(sent / model.max_texts), ceil(tokens / model.max_tokens) if model.max_tokens else 0
    )
    seconds = lengths.rows * _seconds_a_row(embedder, texts, long_texts)
    quota = Quota.of(model, migration.plan.backfill)
    price_date = model.price_as_of.isoformat() if model.price_as_of else "free, runs here"
    return CostEstimate(
        rows=lengths.rows,
        requests=requests,
        tokens=tokens,
        usd=round(model.price(tokens), 4),
        price_as_of=price_date,
        minutes=round(max(seconds, quota.seconds(requests, tokens)) / 60, 2),
    )


def _sent(lengths: TextLengths, long_texts: LongTexts) -> tuple[int, int]:
    """Tokens and texts that are sent. A text that is refused is sent too, and paid for as far as
    the model reads it."""
    if long_texts == "pieces":
        return lengths.tokens, lengths.pieces
    return lengths.tokens_cut, lengths.rows


def _seconds_a_row(embedder: Embedder, texts: Sequence[str], long_texts: LongTexts) -> float:
    """Of the model, measured; rows that it will refuse take no time."""
    whole = limits_of(embedder)[0]
    fitting = [t for t in texts if long_texts != "refuse" or whole.end(t, 0) == len(t)]
    start = time.monotonic()
    embed_texts(for_rows(embedder, long_texts), fitting, PATIENCE_SECONDS)
    return (time.monotonic() - start) / max(len(texts), 1)

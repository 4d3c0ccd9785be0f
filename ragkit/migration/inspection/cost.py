"""What the backfill will cost, before it starts: requests, tokens, money and minutes."""

import time
from dataclasses import dataclass
from math import ceil

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.embedding.catalogue import CHARACTERS_PER_TOKEN
from ragkit.embedding.embedder import Embedder
from ragkit.migration import phases
from ragkit.migration.backfill.metering import Quota
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import has_text, is_pending

SAMPLE_TEXTS = 32
"""Embedded to measure the new model's speed."""


@dataclass(frozen=True)
class CostEstimate:
    """For the rows that are still pending: tokens at 4 characters each, minutes by the speed of a
    sample and the quota, money at the catalogue's price."""

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
    model, content = embedder.model, migration.content
    pending = _is_pending(migration)
    characters_sum = sa.func.coalesce(sa.func.sum(sa.func.length(content)), 0)
    totals = migration.select(sa.func.count(), characters_sum).where(pending)
    sample = migration.select(content).where(pending).limit(SAMPLE_TEXTS)
    with translate_errors("estimating the cost"), migration.engine.connect() as connection:
        rows, characters = connection.execute(totals).one()
        texts = list(connection.scalars(sample))
    tokens = ceil(characters / CHARACTERS_PER_TOKEN)
    requests = max(
        ceil(rows / model.max_texts), ceil(tokens / model.max_tokens) if model.max_tokens else 0
    )
    start = time.monotonic()
    if texts:
        embedder.embed_documents(texts)
    seconds = (time.monotonic() - start) / max(len(texts), 1) * rows
    quota = Quota.of(model, migration.plan.backfill)
    price_date = model.price_as_of.isoformat() if model.price_as_of else "free, runs here"
    return CostEstimate(
        rows=rows,
        requests=requests,
        tokens=tokens,
        usd=round(model.price(tokens), 4),
        price_as_of=price_date,
        minutes=round(max(seconds, quota.seconds(requests, tokens)) / 60, 2),
    )


def _is_pending(migration: Migration) -> sa.ColumnElement[bool]:
    """Before expand, every row with a text is pending."""
    if migration.phase() == phases.PLANNED:
        return has_text(migration.content)
    return is_pending(migration)

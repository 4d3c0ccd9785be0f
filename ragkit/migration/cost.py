"""What the backfill will cost: requests, tokens, money and minutes, before it is begun."""

import time
from dataclasses import dataclass
from math import ceil

import sqlalchemy as sa

from ragkit.database import plain_errors
from ragkit.embedders import Embedder
from ragkit.migration import ledger
from ragkit.migration.coverage import has_text, is_pending
from ragkit.migration.subject import Migration
from ragkit.models import CHARACTERS_PER_TOKEN

SAMPLE = 32
"""Texts that are embedded to measure the new model's speed."""


@dataclass(frozen=True)
class Cost:
    """The estimate for what is still pending: tokens at 4 characters each, minutes by the pace
    of a measured sample and the model's quota, money at the catalogue's price."""

    rows: int
    requests: int
    tokens: int
    usd: float
    price_as_of: str
    minutes: float


def estimate(migration: Migration, embedder: Embedder) -> Cost:
    """Embeds up to SAMPLE pending rows to measure the pace; nothing is written."""
    model, content = embedder.model, migration.content
    missing = _pending(migration)
    query = sa.select(
        sa.func.count(), sa.func.coalesce(sa.func.sum(sa.func.length(content)), 0)
    ).select_from(migration.table).where(missing)  # fmt: skip
    sample = sa.select(content).select_from(migration.table).where(missing).limit(SAMPLE)
    with plain_errors("estimating the cost"), migration.engine.connect() as connection:
        rows, characters = connection.execute(query).one()
        some = [row[0] for row in connection.execute(sample)]
    tokens = ceil(characters / CHARACTERS_PER_TOKEN)
    requests = max(
        ceil(rows / model.max_texts), ceil(tokens / model.max_tokens) if model.max_tokens else 0
    )
    began = time.monotonic()
    if some:
        embedder.embed_documents(some)
    minutes = (time.monotonic() - began) / max(len(some), 1) * rows / 60
    if model.requests_per_minute:
        minutes = max(minutes, requests / model.requests_per_minute)
    price = model.price_as_of.isoformat() if model.price_as_of else "free, runs here"
    usd = tokens * model.usd_per_million_tokens / 1e6
    return Cost(rows, requests, tokens, round(usd, 4), price, round(minutes, 2))


def _pending(migration: Migration) -> sa.ColumnElement[bool]:
    """Before the expand every row with a text is pending."""
    with migration.engine.connect() as connection:
        planned = ledger.phase(connection, migration.id) == ledger.PLANNED
    return has_text(migration.content) if planned else is_pending(migration)

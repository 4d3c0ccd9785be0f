"""What the backfill will cost, before it starts: requests, tokens, money and minutes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.embedding.catalogue import CHARACTERS_PER_TOKEN, Model
from ragkit.embedding.catalogue.providers import PROVIDERS
from ragkit.embedding.embedder import Embedder, MeteredEmbedder
from ragkit.embedding.long_texts.embedder import LongTexts, for_rows
from ragkit.embedding.long_texts.split import limits_of
from ragkit.embedding.requests import SAFETY
from ragkit.migration.backfill.batch.preparing import FULL, LINE_BYTES, MAX_OPEN, is_by_jobs
from ragkit.migration.backfill.model_calls.embed import embed_texts
from ragkit.migration.backfill.model_calls.quota import Quota
from ragkit.migration.inspection.long_texts import TextLengths, measure_lengths, to_embed
from ragkit.migration.migration import Migration

SAMPLE_TEXTS = 32
"""Embedded to measure the new model's speed."""
PATIENCE_SECONDS = 60.0
"""For a busy model."""
DAY_HOURS = 24
"""In which a provider ends a batch, or gives it up."""


@dataclass(frozen=True)
class CostEstimate:
    """For the rows that are still pending: requests as the backfill batches them; tokens by the
    model's tokenizer, else as the service counts those of a sample; minutes by the speed of a
    sample and the quota; money at the catalogue's price. By a batch API, requests are its jobs,
    money is at its price, and minutes are what the provider allows itself at most."""

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
    sample_time = _embed_sample(embedder, texts, long_texts)
    estimated, sent = _sent(lengths, long_texts)
    once = _share_of_different(migration, pending, lengths.rows)
    tokens = round(estimated * once * sample_time.tokens_ratio)
    requests = _count_requests(model, migration.plan.backfill.batch_size, sent * once, tokens)
    seconds = lengths.rows * sample_time.seconds_a_row
    if is_by_jobs(migration) and lengths.rows:
        return _by_jobs(model, lengths.rows, sent * once, tokens)
    quota = Quota.of(model, migration.plan.backfill)
    return CostEstimate(
        rows=lengths.rows,
        requests=requests,
        tokens=tokens,
        usd=round(model.price(tokens), 4),
        price_as_of=_price_date(model),
        minutes=round(max(seconds, quota.seconds(requests, tokens)) / 60, 4),
    )


def _by_jobs(model: Model, rows: int, texts: float, tokens: int) -> CostEstimate:
    """Of the bytes a job may have, texts of four bytes a token fill a part."""
    size = tokens * CHARACTERS_PER_TOKEN + texts * LINE_BYTES
    jobs = max(ceil(texts / model.batch_texts), ceil(size / (FULL * model.batch_bytes)))
    days = ceil(jobs / MAX_OPEN)
    usd = round(model.batch_price(tokens), 4)
    return CostEstimate(rows, jobs, tokens, usd, _price_date(model), 60.0 * DAY_HOURS * days)


def _price_date(model: Model) -> str:
    """Or in words, why there is no date."""
    if model.price_as_of:
        return model.price_as_of.isoformat()
    if model.usd_per_million_tokens:
        return "model_facts"
    provider = PROVIDERS.get(model.provider)
    is_free = provider and provider.is_local
    return "free, runs here" if is_free else "none known: set usd_per_million_tokens in model_facts"


def _sent(lengths: TextLengths, long_texts: LongTexts) -> tuple[int, int]:
    """Tokens and texts that are sent. A text that is refused is sent too, and paid for as far as
    the model reads it."""
    if long_texts == "pieces":
        return lengths.tokens, lengths.pieces
    return lengths.tokens_cut, lengths.rows


@dataclass(frozen=True)
class _Sample:
    """`tokens_ratio`: what the service counted, as a share of the estimate."""

    seconds_a_row: float
    tokens_ratio: float


class _Counter:
    """A RequestMeter that only counts."""

    def __init__(self) -> None:
        self.tokens = 0

    def before(self, tokens: int) -> None:
        """Waits for nothing."""

    def after(self, tokens: int) -> None:
        self.tokens += tokens

    def busy(self) -> None:
        """Is asked again."""


def _embed_sample(embedder: Embedder, texts: Sequence[str], long_texts: LongTexts) -> _Sample:
    """Rows that the model will refuse take no time."""
    whole, counter = limits_of(embedder)[0], _Counter()
    counted = embedder.with_meter(counter) if isinstance(embedder, MeteredEmbedder) else embedder
    fitting = [t for t in texts if long_texts != "refuse" or whole.end(t, 0) == len(t)]
    model = for_rows(counted, long_texts)
    embed_texts(model, fitting[:1], PATIENCE_SECONDS)  # the first call loads and connects
    counter.tokens, start = 0, time.monotonic()
    embed_texts(model, fitting, PATIENCE_SECONDS)
    seconds = (time.monotonic() - start) / max(len(texts), 1)
    sent = fitting if long_texts == "pieces" else [t[: whole.end(t, 0)] for t in fitting]
    estimated = sum(len(text.encode()) for text in sent) / CHARACTERS_PER_TOKEN
    return _Sample(seconds, counter.tokens / estimated if counter.tokens else 1.0)


def _share_of_different(migration: Migration, pending: sa.ColumnElement[bool], rows: int) -> float:
    """Identical texts are embedded once."""
    query = migration.select(sa.func.count(sa.distinct(migration.content))).where(pending)
    with translate_errors("estimating the cost"), migration.engine.connect() as connection:
        return (connection.scalar(query) or 0) / max(rows, 1)


def _count_requests(model: Model, batch_size: int, texts: float, tokens: int) -> int:
    """As the backfill fills them: up to the model's limits, or the plan's batch_size."""
    per_request = min(batch_size or model.max_texts, model.max_texts)
    if model.max_tokens and tokens:
        per_request = max(1, min(per_request, int(model.max_tokens * texts / tokens / SAFETY)))
    return ceil(round(texts) / per_request)

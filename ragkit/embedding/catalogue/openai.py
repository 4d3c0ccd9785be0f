"""OpenAI's models.

Sources, read in November 2026: the reference of /v1/embeddings (8,192 tokens a text, 2,048 texts
and 300,000 tokens a request), the models' pages (price, quota of tier 1), "Deprecations", which
names no date for them, and "Batch API" (50,000 texts and 200 MB a job, half the price).
"""

from dataclasses import replace
from datetime import date

from ragkit.embedding.catalogue.model import Model

_OPENAI = Model(
    "", "openai", 1536, max_texts=2048, in_flight=8, max_tokens=300_000, max_tokens_per_text=8192,
    requests_per_minute=3000, tokens_per_minute=1_000_000, price_as_of=date(2026, 11, 1),
    batch_texts=50_000,
)  # fmt: skip

MODELS = (
    replace(_OPENAI, name="text-embedding-ada-002", usd_per_million_tokens=0.10),
    replace(
        _OPENAI, name="text-embedding-3-small", usd_per_million_tokens=0.02, shorter=range(1, 1536)
    ),
    replace(
        _OPENAI, name="text-embedding-3-large", dimension=3072, usd_per_million_tokens=0.13,
        shorter=range(1, 3072),
    ),
)  # fmt: skip

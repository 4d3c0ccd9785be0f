"""Voyage AI's models. Those of the fourth series make vectors of one space.

Sources, read in November 2026: Voyage AI, "Text embeddings" (1,000 texts a request, tokens a
request and a text, dimensions, the shared space of Voyage 4), "Pricing" and "Rate limits", tier 1.
"""

from dataclasses import replace
from datetime import date

from ragkit.embedding.catalogue.model import Model

_VOYAGE = Model(
    "", "voyage", 1024, max_texts=1000, in_flight=8, max_tokens=120_000,
    max_tokens_per_text=32_000, requests_per_minute=2000, tokens_per_minute=3_000_000,
    price_as_of=date(2026, 11, 1), shorter=(256, 512, 2048), document_task="document",
    query_task="query",
)  # fmt: skip
_MIDDLE = replace(
    _VOYAGE, max_tokens=320_000, tokens_per_minute=8_000_000, usd_per_million_tokens=0.06
)
_LITE = replace(
    _VOYAGE, max_tokens=1_000_000, tokens_per_minute=16_000_000, usd_per_million_tokens=0.02
)
VOYAGE_4 = "voyage-4"

MODELS = (
    replace(_VOYAGE, name="voyage-4-large", space=VOYAGE_4, usd_per_million_tokens=0.12),
    replace(_MIDDLE, name="voyage-4", space=VOYAGE_4),
    replace(_LITE, name="voyage-4-lite", space=VOYAGE_4),
    replace(_VOYAGE, name="voyage-3-large", usd_per_million_tokens=0.18),
    replace(_MIDDLE, name="voyage-3.5"),
    replace(_LITE, name="voyage-3.5-lite"),
    replace(_VOYAGE, name="voyage-code-3", usd_per_million_tokens=0.18),
)

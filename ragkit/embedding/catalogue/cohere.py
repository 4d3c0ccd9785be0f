"""Cohere's models.

Sources, read in November 2026: the reference of /v2/embed (96 texts a request), "Embed models"
(dimensions, tokens a text), "Pricing" and "Rate limits" of a production key.
"""

from dataclasses import replace
from datetime import date

from ragkit.embedding.catalogue.model import Model

_COHERE = Model(
    "", "cohere", 1024, max_texts=96, in_flight=8, max_tokens_per_text=512,
    requests_per_minute=2000, usd_per_million_tokens=0.10, price_as_of=date(2026, 11, 1),
    document_task="search_document", query_task="search_query",
)  # fmt: skip

MODELS = (
    replace(
        _COHERE, name="embed-v4.0", dimension=1536, max_tokens_per_text=128_000, max_tokens=128_000,
        usd_per_million_tokens=0.12, shorter=(256, 512, 1024),
    ),
    replace(_COHERE, name="embed-english-v3.0"),
    replace(_COHERE, name="embed-multilingual-v3.0"),
)  # fmt: skip

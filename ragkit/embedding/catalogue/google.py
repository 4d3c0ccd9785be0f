"""Google's models.

Sources, read in November 2026: Vertex AI, "Get text embeddings", "Model versions and lifecycle",
"Gemini Embedding 2", "Get batch embeddings inferences" and "Pricing" (a batch costs a fifth less);
Gemini API, "Embeddings" and "Batch API" (half the price).
Prices per million characters are stated per million tokens, at 4 characters a token.
"""

from dataclasses import replace
from datetime import date

from ragkit.embedding.catalogue.model import Model

_VERTEX = Model(
    "", "vertex", 768, max_tokens_per_text=2048, in_flight=8, price_as_of=date(2026, 11, 1),
    document_task="RETRIEVAL_DOCUMENT", query_task="RETRIEVAL_QUERY", batch_discount=0.2,
)  # fmt: skip
_TEXT_EMBEDDING = replace(
    _VERTEX, max_texts=250, max_tokens=20_000, requests_per_minute=1500, usd_per_million_tokens=0.10
)

_BATCH_TEXTS = 5_000
"""Google's limits are higher; so many answers of 3,072 numbers are a file of 0.4 GB."""

MODELS = (
    replace(
        _TEXT_EMBEDDING, name="textembedding-gecko@001", retires=date(2025, 4, 21),
        document_task=None, query_task=None,
    ),
    replace(
        _TEXT_EMBEDDING, name="text-embedding-005", retires=date(2027, 4, 1), batch_texts=30_000
    ),
    replace(
        _VERTEX, name="gemini-embedding-001", dimension=3072, max_texts=1,
        retires=date(2028, 5, 20), usd_per_million_tokens=0.15, shorter=(768, 1536),
        batch_texts=_BATCH_TEXTS,
    ),
    # It takes its task as words before the text, not as a parameter.
    Model(
        "gemini-embedding-2", "genai", 3072, max_texts=100, in_flight=8, max_tokens_per_text=8192,
        usd_per_million_tokens=0.20, price_as_of=date(2026, 11, 1), shorter=range(128, 3072),
        document_prefix="title: none | text: ", query_prefix="task: search result | query: ",
        batch_texts=_BATCH_TEXTS,
    ),
)  # fmt: skip

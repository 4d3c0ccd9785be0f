"""Models that run here and whose weights a package brings."""

from ragkit.embedding.catalogue.model import Model

MODELS = (
    Model("wordllama-64", "wordllama", 64, max_texts=256),
    Model("wordllama-256", "wordllama", 256, max_texts=256),
    Model("all-minilm-l6-v2", "minilm", 384, max_texts=16, max_tokens_per_text=256),
)

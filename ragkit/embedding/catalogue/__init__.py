"""The catalogue: what is known of each embedding model, and from a name to its model."""

from ragkit.embedding.catalogue.model import CHARACTERS_PER_TOKEN, MAX_DIMENSION, Model
from ragkit.embedding.catalogue.names import CATALOGUE, find_model, has_batches, is_known, is_plugin

__all__ = [
    "CATALOGUE", "CHARACTERS_PER_TOKEN", "MAX_DIMENSION", "Model", "find_model", "has_batches",
    "is_known", "is_plugin",
]  # fmt: skip

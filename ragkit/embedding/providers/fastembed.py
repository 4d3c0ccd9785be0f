"""Models of fastembed, on this machine by ONNX, without torch.

The weights are fetched once into FASTEMBED_CACHE_PATH; with HF_HUB_OFFLINE they must be there.
Source: fastembed, `TextEmbedding`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from fastembed import TextEmbedding

from ragkit.embedding.catalogue import Model
from ragkit.embedding.local import LocalEmbedder, told_by_itself
from ragkit.errors import ModelUnavailable

BATCH = 32


class FastEmbedEmbedder(LocalEmbedder):
    """An Embedder and a TokenCounter. The SDK would cut a long text without a word."""

    def __init__(self, model: Model, env: Mapping[str, str]):
        """Raises ModelUnavailable where the weights are not here and cannot be fetched, or make
        fewer dimensions."""
        name = model.served_name
        try:
            model_here: Any = TextEmbedding(name, env.get("FASTEMBED_CACHE_PATH"))
        except Exception as error:  # of several libraries
            raise ModelUnavailable(
                f"{model.name} cannot be loaded ({type(error).__name__}): expected a name of "
                "TextEmbedding.list_supported_models(), and its weights in FASTEMBED_CACHE_PATH "
                "or a way to the Hugging Face Hub"
            ) from None
        self._model: Any = model_here
        self._tokenizer: Any = self._model.model.tokenizer
        limit = (self._tokenizer.truncation or {}).get("max_length")
        self._tokenizer.no_truncation()
        self.model = told_by_itself(model, self._model.embedding_size, limit)
        self.marks = self._tokenizer.num_special_tokens_to_add(is_pair=False)

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        spans: list[tuple[int, int]] = self._tokenizer.encode(
            text, add_special_tokens=False
        ).offsets
        return spans

    def _encode(self, texts: list[str], is_query: bool) -> object:
        verb = self._model.query_embed if is_query else self._model.passage_embed
        return np.array(list(verb(texts, batch_size=BATCH)))


def load(model: Model, env: Mapping[str, str]) -> FastEmbedEmbedder:
    """Raises ModelUnavailable."""
    return FastEmbedEmbedder(model, env)

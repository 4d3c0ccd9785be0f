"""Models of sentence-transformers, on this machine: a name of the Hugging Face Hub, or a folder.

The model's own prompts for queries and documents are used, unless its facts give prefixes. Source:
sentence-transformers, "SentenceTransformer".
"""

from collections.abc import Mapping
from typing import Any

from sentence_transformers import SentenceTransformer

from ragkit.embedding.catalogue import Model
from ragkit.embedding.local import LocalEmbedder, told_by_itself
from ragkit.errors import ModelUnavailable

BATCH = 32


class SentenceTransformersEmbedder(LocalEmbedder):
    """An Embedder and a TokenCounter."""

    def __init__(self, model: Model):
        """Raises ModelUnavailable where the weights are not here and cannot be fetched, or make
        fewer dimensions."""
        try:
            self._model: Any = SentenceTransformer(model.served_name)
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelUnavailable(
                f"{model.name} cannot be loaded ({type(error).__name__}): expected a model of "
                "the Hugging Face Hub or a folder with one; in HF_HOME where HF_HUB_OFFLINE is 1"
            ) from None
        dimension = self._model.get_embedding_dimension()
        self.model = told_by_itself(model, dimension, self._model.max_seq_length)
        self.marks = self._model.tokenizer.num_special_tokens_to_add()

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        found = self._model.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, truncation=False,
            verbose=False,
        )  # fmt: skip
        spans: list[tuple[int, int]] = found["offset_mapping"]
        return spans

    def _encode(self, texts: list[str], is_query: bool) -> object:
        verb = self._model.encode_query if is_query else self._model.encode_document
        own = {"prompt": ""} if super()._prompt(is_query) else {}
        return verb(texts, batch_size=BATCH, show_progress_bar=False, **own)

    def _prompt(self, is_query: bool) -> str:
        if prefix := super()._prompt(is_query):
            return prefix
        names = ("query",) if is_query else ("document", "passage", "corpus")
        return next((self._model.prompts[n] for n in names if n in self._model.prompts), "")


def load(model: Model, _: Mapping[str, str]) -> SentenceTransformersEmbedder:
    """Raises ModelUnavailable."""
    return SentenceTransformersEmbedder(model)

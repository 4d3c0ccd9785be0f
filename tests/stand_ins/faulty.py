"""The letters model with faults on demand, as a failing model service shows them."""

import time

from ragkit.embedding.providers.plugin import PluginEmbedder
from tests.stand_ins.letters import Letters

HANG_SECONDS = 4


class StatusError(Exception):
    """An error of an HTTP client, with the status of the answer."""

    def __init__(self, status_code: int):
        super().__init__(f"status {status_code}, key sk-canary")
        self.status_code = status_code


class FaultyModel(Letters):
    """`faults`: what each of the next calls does; None answers as usual. A text that contains
    `refused_part` is refused every time. `embedded`: every text that was answered."""

    def __init__(self, faults=(), refused_part=None):
        self.faults, self.refused_part, self.embedded = list(faults), refused_part, []

    def embed_documents(self, texts):
        if self.faults and (fault := self.faults.pop(0)) is not None:
            return self._fail(fault, texts)
        if self.refused_part and any(self.refused_part in text for text in texts):
            raise StatusError(400)
        self.embedded += texts
        return super().embed_documents(texts)

    def _fail(self, fault, texts):
        vectors = Letters.embed_documents(self, texts)
        if isinstance(fault, int):
            raise StatusError(fault)
        if fault == "hang":
            time.sleep(HANG_SECONDS)
            return vectors
        if fault == "error":
            raise ValueError("canary")
        if fault == "drop":
            raise ConnectionResetError("canary")
        return {
            "dimension": [vector[:-1] for vector in vectors],
            "nan": [[float("nan")] * 64, *vectors[1:]],
            "fewer": vectors[:-1],
            "ragged": [vectors[0][:-1], *vectors[1:]],
            "nothing": [],
        }[fault]


def faulty_embedder(faults=(), refused_part=None) -> PluginEmbedder:
    """An embedder of the letters model, by its own name, as the contract expects it."""
    embedder = PluginEmbedder("tests.stand_ins.letters:Letters")
    embedder._embeddings = FaultyModel(faults, refused_part)
    return embedder

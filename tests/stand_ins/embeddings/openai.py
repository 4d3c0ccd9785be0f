"""OpenAI's /v1/embeddings: base64 unless floats are asked for, an index with each vector."""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from tests.stand_ins.embeddings import service
from tests.stand_ins.embeddings.service import Asked, Service


def read(path: str, body: Mapping[str, Any]) -> Asked:
    assert path == "/v1/embeddings", path
    return Asked(body["model"], body["input"], body.get("encoding_format"), body.get("dimensions"))


def shape(stand_in: Service, asked: Asked, fault: object) -> dict[str, Any]:
    """In reverse order: the index says which is which."""
    vectors = stand_in.vectors(asked, fault)
    if asked.task == "base64":
        encoded: list[Any] = [
            base64.b64encode(np.array(v, np.float32).tobytes()).decode() for v in vectors
        ]
    else:
        encoded = vectors
    data = [{"object": "embedding", "index": n, "embedding": e} for n, e in enumerate(encoded)]
    if fault == "twice":
        data = [{**item, "index": 0} for item in data]
    name = "another-model" if fault == "model" else stand_in.answers_as or asked.model
    tokens: Any = stand_in.counts if stand_in.counts is not None else stand_in.tokens(asked)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data[::-1], "model": name, "usage": usage}


def refuse(status: int, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": None}}


@contextmanager
def serving(dimension: int = 1536, **settings: Any) -> Iterator[Service]:
    """Yields it; its base URL is its address and /v1."""
    stand_in = Service(dimension, **settings)
    with service.serving(stand_in, read, shape, refuse):
        yield stand_in

"""Voyage AI's /v1/embeddings: base64, an input type, errors as a `detail`."""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from tests.stand_ins.embeddings import service
from tests.stand_ins.embeddings.service import Asked, Service


def read(path: str, body: Mapping[str, Any]) -> Asked:
    assert path == "/v1/embeddings", path
    assert body["truncation"] is False
    assert body["encoding_format"] == "base64"
    return Asked(body["model"], body["input"], body["input_type"], body.get("output_dimension"))


def shape(stand_in: Service, asked: Asked, fault: object) -> dict[str, Any]:
    data = [
        {
            "object": "embedding",
            "embedding": base64.b64encode(np.array(v, np.float32).tobytes()).decode(),
            "index": n,
        }
        for n, v in enumerate(stand_in.vectors(asked, fault))
    ]
    usage = {"total_tokens": stand_in.tokens(asked)}
    return {"object": "list", "data": data, "model": asked.model, "usage": usage}


def refuse(status: int, message: str) -> dict[str, Any]:
    return {"detail": message}


@contextmanager
def serving(dimension: int = 1024, **settings: Any) -> Iterator[Service]:
    """Yields it; its base URL is its address and /v1."""
    stand_in = Service(dimension, **settings)
    with service.serving(stand_in, read, shape, refuse):
        yield stand_in

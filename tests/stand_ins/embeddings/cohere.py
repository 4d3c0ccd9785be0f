"""Cohere's /v2/embed: vectors by type, tokens as billed units."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.stand_ins.embeddings import service
from tests.stand_ins.embeddings.service import Asked, Service


def read(path: str, body: Mapping[str, Any]) -> Asked:
    assert path == "/v2/embed", path
    assert body["truncate"] == "NONE"
    assert body["embedding_types"] == ["float"]
    return Asked(body["model"], body["texts"], body["input_type"], body.get("output_dimension"))


def shape(stand_in: Service, asked: Asked, fault: object) -> dict[str, Any]:
    return {
        "id": "1",
        "embeddings": {"float": stand_in.vectors(asked, fault)},
        "texts": asked.texts,
        "meta": {"billed_units": {"input_tokens": stand_in.tokens(asked)}},
        "response_type": "embeddings_by_type",
    }


def refuse(status: int, message: str) -> dict[str, Any]:
    return {"id": "1", "message": message}


@contextmanager
def serving(dimension: int = 1536, **settings: Any) -> Iterator[Service]:
    stand_in = Service(dimension, **settings)
    with service.serving(stand_in, read, shape, refuse):
        yield stand_in

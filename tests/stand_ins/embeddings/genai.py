"""Google's two ways to a Gemini model: the Gemini API's :batchEmbedContents, with a key, and Vertex
AI's :embedContent, with an account's token and one content a request."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from tests.stand_ins.embeddings import service
from tests.stand_ins.embeddings.service import Asked, Service, count_tokens

STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED",
            404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}  # fmt: skip


def read(path: str, body: Mapping[str, Any]) -> Asked:
    place, _, verb = unquote(path).rpartition(":")
    model = place.rpartition("/")[2]
    if verb == "batchEmbedContents":
        first = body["requests"][0]
        texts = [text_of(request["content"]) for request in body["requests"]]
        return Asked(model, texts, first.get("taskType"), first.get("outputDimensionality"))
    assert verb == "embedContent", path
    assert "/projects/p/locations/" in place
    config = body.get("embedContentConfig", {})
    assert config["autoTruncate"] is False
    size = config.get("outputDimensionality")
    return Asked(model, [text_of(body["content"])], config.get("taskType"), size)


def text_of(content: Mapping[str, Any]) -> str:
    (part,) = content["parts"]
    return str(part["text"])


def shape(stand_in: Service, asked: Asked, fault: object) -> dict[str, Any]:
    vectors = [{"values": v} for v in stand_in.vectors(asked, fault)]
    if stand_in.is_vertex:
        counted = {"promptTokenCount": sum(map(count_tokens, asked.texts))}
        return {"embedding": vectors[0] if vectors else {}, "usageMetadata": counted}
    return {"embeddings": vectors}


def refuse(status: int, message: str) -> dict[str, Any]:
    """A key that is none has the status of a text that is none."""
    error = {"code": status, "message": message, "status": STATUSES.get(status, "INTERNAL")}
    if status == 401:
        error["details"] = [{"reason": "API_KEY_INVALID"}]
    return {"error": error}


class GenAi(Service):
    is_vertex = False


@contextmanager
def serving(dimension: int = 3072, vertex: bool = False, **settings: Any) -> Iterator[GenAi]:
    stand_in = GenAi(dimension, **settings)
    stand_in.is_vertex = vertex
    stand_in.statuses = {} if vertex else {401: 400}
    header = "Authorization" if vertex else "x-goog-api-key"
    with service.serving(stand_in, read, shape, refuse, header):
        yield stand_in

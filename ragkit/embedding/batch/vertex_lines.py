"""The lines of Vertex AI's batch files, which two generations of models have each in its own way.

Source: Gemini Enterprise Agent Platform (once Vertex AI), "Get batch embeddings inferences".
"""

import re
from collections.abc import Mapping
from typing import Any

from ragkit.embedding.batch.calls import write_line
from ragkit.embedding.batch.protocol import Result, digest_of
from ragkit.embedding.catalogue import Model
from ragkit.embedding.vertex_ai.service import shape_instances

_REFUSED = re.compile(r"\b400\b|INVALID_ARGUMENT|Bad Request|invalid argument", re.IGNORECASE)


def is_keyed(model: Model) -> bool:
    """Whether its lines carry a key; those of a model without it are known by their texts."""
    return model.served_name.startswith("gemini")


def write_request(model: Model, id: str, text: str) -> str:
    """The dimension is not asked for: not every model keeps to it here, and `fit_vectors` cuts what
    is longer."""
    if not is_keyed(model):
        return write_line(shape_instances([text], model.document_task)[0])
    request: dict[str, Any] = {"content": {"parts": [{"text": model.document_prefix + text}]}}
    if model.document_task:
        request["embed_content_config"] = {"task_type": model.document_task}
    return write_line({"key": id, "request": request})


def read_answer(model: Model, line: Mapping[str, Any]) -> Result:
    """A text that was cut, or is longer than the model takes, counts as refused: the service cuts
    it without a word."""
    if is_keyed(model):
        id, response = str(line.get("key")), line.get("response") or {}
        values = (response.get("embedding") or {}).get("values")
        usage = response.get("usageMetadata") or {}
        tokens, is_cut = response.get("tokenCount") or usage.get("promptTokenCount"), False
    else:
        id = digest_of(str((line.get("instance") or {}).get("content")))
        found = ((line.get("predictions") or [{}])[0] or {}).get("embeddings") or {}
        values, statistics = found.get("values"), found.get("statistics") or {}
        tokens, is_cut = statistics.get("token_count"), bool(statistics.get("truncated"))
    count = None if tokens is None else int(tokens)
    limit = model.max_tokens_per_text
    if is_cut or (limit and count and count > limit):
        return Result(id, None, count, error="too long", is_refused=True)
    if values:
        return Result(id, values, count)
    said = f"{line.get('status') or ''} {line.get('error') or ''}"
    is_refused = bool(_REFUSED.search(said))
    return Result(id, None, count, "refused" if is_refused else "no vector", is_refused)

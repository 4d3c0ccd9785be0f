"""Cohere, by its SDK. Source: Cohere's API reference, "Embed API (v2)"."""

from collections.abc import Mapping, Sequence
from typing import Any

import cohere
import httpx

from ragkit.embedding.catalogue import Model
from ragkit.embedding.service.embedder import CALL_SECONDS, Answer, ServiceEmbedder
from ragkit.embedding.service.keys import key_variable, read_key
from ragkit.errors import BadVectors


class CohereClient:
    """A Client. A text that is too long is refused, never cut."""

    passing: tuple[type[Exception], ...] = (httpx.TransportError,)

    def __init__(self, model: Model, env: Mapping[str, str]):
        """Raises ModelUnavailable without a key."""
        self._model, self.key = model, key_variable(model)
        self._client = cohere.ClientV2(
            api_key=read_key(model, env),
            base_url=model.base_url or None,
            httpx_client=httpx.Client(timeout=CALL_SECONDS, follow_redirects=False),
            max_retries=0,
        )

    def embed(self, texts: Sequence[str], is_query: bool) -> Answer:
        model = self._model
        shape: dict[str, Any] = {"output_dimension": model.dimension} if model.shortened else {}
        answer = self._client.embed(
            model=model.served_name,
            texts=list(texts),
            input_type=(model.query_task if is_query else model.document_task)
            or ("search_query" if is_query else "search_document"),
            embedding_types=["float"],
            truncate="NONE",
            **shape,
        )
        if (vectors := answer.embeddings.float_) is None:
            raise BadVectors(f"{model.name} answered no vectors of floats")
        units = answer.meta.billed_units if answer.meta else None
        tokens = units.input_tokens if units else None
        return Answer(vectors, None if tokens is None else int(tokens))


def load(model: Model, env: Mapping[str, str]) -> ServiceEmbedder:
    """Raises ModelUnavailable without a key."""
    return ServiceEmbedder(model, CohereClient(model, env))

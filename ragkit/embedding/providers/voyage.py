"""Voyage AI, by its SDK. Source: Voyage AI, "Text embeddings"."""

from collections.abc import Mapping, Sequence

from voyageai import error as errors
from voyageai.client import Client

from ragkit.embedding.catalogue import Model
from ragkit.embedding.service.embedder import CALL_SECONDS, Answer, ServiceEmbedder
from ragkit.embedding.service.keys import key_variable, read_key


class VoyageClient:
    """A Client. A text that is too long is refused, never cut."""

    passing: tuple[type[Exception], ...] = (errors.Timeout, errors.APIConnectionError)

    def __init__(self, model: Model, env: Mapping[str, str]):
        """Raises ModelUnavailable without a key."""
        self._model, self.key = model, key_variable(model)
        self._client = Client(
            api_key=read_key(model, env),
            max_retries=0,
            timeout=CALL_SECONDS,
            base_url=model.base_url or None,
        )

    def embed(self, texts: Sequence[str], is_query: bool) -> Answer:
        model = self._model
        answer = self._client.embed(
            list(texts),
            model=model.served_name,
            input_type=model.query_task if is_query else model.document_task,
            truncation=False,
            output_dimension=model.dimension if model.shortened else None,
        )
        return Answer(answer.embeddings, answer.total_tokens)


def load(model: Model, env: Mapping[str, str]) -> ServiceEmbedder:
    """Raises ModelUnavailable without a key."""
    return ServiceEmbedder(model, VoyageClient(model, env))

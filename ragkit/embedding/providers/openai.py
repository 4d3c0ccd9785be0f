"""OpenAI, and every server that speaks its /v1/embeddings: Azure, Ollama, vLLM, TEI, Mistral.

Another server is OPENAI_BASE_URL, or `base_url` of the model's facts. Source: OpenAI's API
reference, "Create embeddings".
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import openai

from ragkit.embedding.batch.openai import OpenAiBatches
from ragkit.embedding.catalogue import Model, has_batches
from ragkit.embedding.service.embedder import (
    CALL_SECONDS,
    Answer,
    BatchServiceEmbedder,
    ServiceEmbedder,
)
from ragkit.embedding.service.keys import key_variable, read_key
from ragkit.errors import BadVectors, ModelUnavailable

_VERSION = r"(:latest|-v\d+|-\d{4}-?\d\d-?\d\d)?"
"""What a service may put behind the name that it was asked for."""


class OpenAiClient:
    """A Client."""

    passing: tuple[type[Exception], ...] = (openai.APIConnectionError,)

    def __init__(self, model: Model, env: Mapping[str, str]):
        """Raises ModelUnavailable without a key, or with an address that is none."""
        self._model, self.key = model, key_variable(model)
        base_url = model.base_url or env.get("OPENAI_BASE_URL") or None
        if base_url and not base_url.startswith(("http://", "https://")):
            raise ModelUnavailable(
                f"{model.name}: OPENAI_BASE_URL does not begin with http:// or https://: expected "
                "an address such as http://localhost:11434/v1"
            )
        self._client = openai.OpenAI(
            api_key=read_key(model, env),
            base_url=base_url,
            max_retries=0,
            http_client=openai.DefaultHttpxClient(timeout=CALL_SECONDS, follow_redirects=False),
        )
        # Base64, the SDK's default, is four times as short, but not every other server has it.
        self._format: openai.Omit | str = "float" if base_url else openai.omit

    def embed(self, texts: Sequence[str], is_query: bool) -> Answer:
        model = self._model
        answer = self._client.embeddings.create(
            input=list(texts),
            model=model.served_name,
            dimensions=model.dimension if model.shortened else openai.omit,
            encoding_format=self._format,  # type: ignore[arg-type]
        )
        self.require_model(answer.model)
        if not answer.data:
            raise BadVectors(f"{model.name} answered no vector")
        data: Any = answer.data  # some servers have no indexes
        found = {
            place if item.index is None else item.index: item.embedding
            for place, item in enumerate(data)
        }  # two of one index are one vector too few
        usage: Any = answer.usage  # some servers have none
        tokens = usage.total_tokens if usage else None
        return Answer([found[index] for index in sorted(found)], tokens)

    def batches(self) -> OpenAiBatches:
        """Of the same model, by the same key."""
        return OpenAiBatches(self._model, self._client, self.key, self.require_model)

    def require_model(self, answered: str | None) -> None:
        """A server that has one model only answers by it, whatever it is asked for."""
        model = self._model
        asked = model.answers_as or model.served_name
        if answered and not re.fullmatch(re.escape(asked) + _VERSION, answered, re.IGNORECASE):
            raise ModelUnavailable(
                f"{model.name}: expected vectors of {asked!r}, the server answered with those of "
                f"{answered[:80]!r}; if that is the same model, set answers_as to it in "
                "model_facts"
            )


def load(model: Model, env: Mapping[str, str]) -> ServiceEmbedder:
    """Raises ModelUnavailable without a key."""
    client = OpenAiClient(model, env)
    if has_batches(model):
        return BatchServiceEmbedder(model, client, client.batches())
    return ServiceEmbedder(model, client)

"""Google's Gemini API, with a key, or Vertex AI, with Google's credentials, by google-genai.

GEMINI_API_KEY chooses the Gemini API; without it, GCP_PROJECT_ID and GCP_LOCATION are those of
Vertex AI. Sources: Gemini API, "Embeddings"; Vertex AI, "Gemini Embedding 2".
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import httpx
from google import genai
from google.auth.exceptions import GoogleAuthError
from google.genai import errors, types
from google.oauth2.credentials import Credentials

from ragkit.embedding.batch.genai import GenAiBatches
from ragkit.embedding.catalogue import Model, has_batches
from ragkit.embedding.service.embedder import (
    CALL_SECONDS,
    Answer,
    BatchServiceEmbedder,
    ServiceEmbedder,
)
from ragkit.embedding.service.keys import key_variable, read_key
from ragkit.embedding.vertex_ai.credentials import find_credentials
from ragkit.embedding.vertex_ai.service import project_and_location
from ragkit.errors import ModelUnavailable


class GenAiClient:
    """A Client. A wrong key of the Gemini API has the status 400, as a text that is too long."""

    passing: tuple[type[Exception], ...] = (httpx.TransportError,)

    def __init__(self, model: Model, env: Mapping[str, str]):
        """Raises ConfigError without a project, ModelUnavailable without credentials."""
        self._model, self.key = model, key_variable(model)
        key = read_key(model, env)
        self.is_vertex = not key
        # A redirect to another host would get the key.
        options = types.HttpOptions(
            timeout=int(CALL_SECONDS * 1000), client_args={"follow_redirects": False}
        )
        if model.base_url:
            options.base_url = model.base_url
        if key:
            self._client = genai.Client(vertexai=False, api_key=key, http_options=options)
            return
        self.key = "the account's roles (roles/aiplatform.user)"
        project, location = project_and_location(model, env)
        self.credentials = find_credentials(env)
        credentials = self.credentials or Credentials(token="stand-in")  # type: ignore[no-untyped-call]
        if endpoint := env.get("VERTEX_ENDPOINT"):
            options.base_url = f"http://{endpoint}"
        self._client = genai.Client(
            vertexai=True, project=project, location=location, credentials=credentials,
            http_options=options,
        )  # fmt: skip

    def embed(self, texts: Sequence[str], is_query: bool) -> Answer:
        model = self._model
        config = types.EmbedContentConfig(
            task_type=model.query_task if is_query else model.document_task,
            output_dimensionality=model.dimension if model.shortened else None,
            auto_truncate=False if self.is_vertex else None,
        )
        # One Content a text: as a list of texts, the second series makes one vector of all.
        contents = [types.Content(parts=[types.Part(text=text)]) for text in texts]
        try:
            answer = self._client.models.embed_content(
                model=model.served_name,
                contents=contents,
                config=config,
            )
        except errors.ClientError as error:
            if "API_KEY_INVALID" in str(error.details):
                error.code = 401
            raise
        except GoogleAuthError:
            raise ModelUnavailable(
                f"{model.name}: the credentials do not work: run gcloud auth "
                "application-default login"
            ) from None
        found = answer.embeddings or []
        counts = [each.statistics.token_count for each in found if each.statistics]
        tokens = int(sum(count or 0 for count in counts)) or None
        return Answer([each.values or [] for each in found], tokens)


def load(model: Model, env: Mapping[str, str]) -> ServiceEmbedder:
    """Vertex AI takes one text a request of this model, and has its batches in Cloud Storage.
    Raises ConfigError or ModelUnavailable."""
    client = GenAiClient(model, env)
    if client.is_vertex:
        model = replace(model, max_texts=1)
        if not (model.batch_folder and has_batches(model)):
            return ServiceEmbedder(model, client)
        from ragkit.embedding.batch.vertex import VertexBatches  # takes a second, and 100 MB

        return BatchServiceEmbedder(model, client, VertexBatches(model, env, client.credentials))
    if has_batches(model):
        batches = GenAiBatches(model, client._client, client.key)
        return BatchServiceEmbedder(model, client, batches)
    return ServiceEmbedder(model, client)

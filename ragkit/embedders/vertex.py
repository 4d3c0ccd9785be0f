"""Google's text embedding models on Vertex AI, over gRPC.

`PredictionServiceClient` and the raw protobuf, never `vertexai` or `google.cloud.aiplatform`:
those cost the function 2 s and 220 MB at the start, and decoding ten times the time.
Reference: Vertex AI, "Text embeddings API".
"""

import os
from collections.abc import Mapping, Sequence

import grpc
import numpy as np
from google.api_core import exceptions as google
from google.api_core.client_options import ClientOptions
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.cloud.aiplatform_v1.services.prediction_service import PredictionServiceClient
from google.cloud.aiplatform_v1.services.prediction_service.transports import (
    PredictionServiceGrpcTransport,
)
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Value

from ragkit.embedders import checked
from ragkit.errors import (
    ConfigError,
    ModelBusy,
    ModelError,
    ModelUnavailable,
    RowRefused,
    TextTooLong,
)
from ragkit.models import Model

DEADLINE_SECONDS = 30.0
"""For one call with all its retries; a caller of the function waits no longer."""

_TRANSIENT = if_exception_type(
    google.ResourceExhausted, google.ServiceUnavailable, google.InternalServerError
)
_WAY_OUT = {
    google.InvalidArgument: "the model does not take this text",
    google.NotFound: "this project or region has no such model, or it is retired: choose another",
    google.PermissionDenied: "grant roles/aiplatform.user to the service account",
    google.Unauthenticated: "run gcloud auth application-default login",
    google.ResourceExhausted: "the quota is used up: wait, or ask for more",
    google.DeadlineExceeded: "no answer in time: try again",
}


class VertexEmbedder:
    """Settings from the environment: GCP_PROJECT_ID (default: the project of the instance in
    INSTANCE_CONNECTION_NAME) and GCP_LOCATION (default us-central1).

    VERTEX_ENDPOINT (host:port) names another server, without TLS and credentials: for tests.
    """

    def __init__(self, model: Model, env: Mapping[str, str] = os.environ):
        instance = env.get("INSTANCE_CONNECTION_NAME", "")
        project = env.get("GCP_PROJECT_ID") or ":".join(instance.split(":")[:-2])
        location = env.get("GCP_LOCATION") or "us-central1"
        if not project:
            raise ConfigError(f"model {model.name} runs on Vertex AI: set GCP_PROJECT_ID")
        self.model = model
        self._endpoint = (
            f"projects/{project}/locations/{location}/publishers/google/models/{model.name}"
        )
        self._client = _client(location, env.get("VERTEX_ENDPOINT"))

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        vectors = np.empty((len(texts), self.model.dimension), np.float32)
        for start in range(0, len(texts), self.model.max_texts):
            part = texts[start : start + self.model.max_texts]
            vectors[start : start + len(part)] = self._predict(part, self.model.document_task)
        return vectors

    def embed_query(self, text: str) -> np.ndarray:
        return self._predict([text], self.model.query_task)[0]

    def _predict(self, texts: Sequence[str], task: str | None) -> np.ndarray:
        extra = {"task_type": task} if task else {}
        try:
            answer = self._client.predict(
                endpoint=self._endpoint,
                instances=[ParseDict({"content": text, **extra}, Value()) for text in texts],
                timeout=DEADLINE_SECONDS,
                retry=Retry(predicate=_TRANSIENT, initial=0.5, timeout=DEADLINE_SECONDS),
            )
        except google.RetryError as error:
            raise _told_apart(self.model, error.cause or error) from None
        except (google.GoogleAPICallError, GoogleAuthError) as error:
            raise _told_apart(self.model, error) from None
        found = [p.struct_value.fields["embeddings"].struct_value for p in answer._pb.predictions]
        for text, embedding in zip(texts, found, strict=False):
            statistics = embedding.fields["statistics"].struct_value.fields
            if statistics["truncated"].bool_value:
                raise TextTooLong(
                    f"a text of {len(text)} characters; {self.model.name} takes "
                    f"{self.model.max_tokens_per_text} tokens and would cut it: shorten it"
                )
        values = [[v.number_value for v in e.fields["values"].list_value.values] for e in found]
        return checked(values, len(texts), self.model)


def _client(location: str, endpoint: str | None) -> PredictionServiceClient:
    if endpoint:
        channel = grpc.insecure_channel(endpoint)
        return PredictionServiceClient(transport=PredictionServiceGrpcTransport(channel=channel))
    options = ClientOptions(api_endpoint=f"{location}-aiplatform.googleapis.com")
    try:
        return PredictionServiceClient(client_options=options)
    except GoogleAuthError:
        raise ModelUnavailable(
            "no Google credentials here: run gcloud auth application-default login"
        ) from None


def _told_apart(model: Model, error: Exception) -> ModelError:
    way_out = next((text for kind, text in _WAY_OUT.items() if isinstance(error, kind)), None)
    said = f"{model.name}: {type(error).__name__}; {way_out or 'try again'}"
    if isinstance(error, google.InvalidArgument):
        return RowRefused(said)
    busy = (google.ResourceExhausted, google.ServerError, google.RetryError)
    return ModelBusy(said) if isinstance(error, busy) else ModelUnavailable(said)


load = VertexEmbedder

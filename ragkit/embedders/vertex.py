"""Google's text embedding models on Vertex AI, over gRPC.

`PredictionServiceClient` and the raw protobuf, never `vertexai` or `google.cloud.aiplatform`:
those cost the function 2 s and 220 MB at the start, and decoding ten times the time.
Reference: Vertex AI, "Text embeddings API".
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from google.api_core import exceptions as google
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Value

from ragkit.embedders import Meter, checked
from ragkit.embedders.packing import TokenEstimate, packed
from ragkit.embedders.vertex_client import client_for, endpoint_of, told_apart, without_credentials
from ragkit.errors import RowRefused, SomeRefused, TextTooLong
from ragkit.models import Model

DEADLINE_SECONDS = 30.0
"""For one call with all its retries; a caller of the function waits no longer."""
ATTEMPT_SECONDS = 10.0
CONCURRENT = 8
"""Requests under way at once; how fast they leave is the meter's to say."""

_PASSES = if_exception_type(
    google.ResourceExhausted,
    google.ServiceUnavailable,
    google.InternalServerError,
    google.DeadlineExceeded,
)


def _is_transient(error: Exception) -> bool:
    return _PASSES(error) and not without_credentials(error)


class VertexEmbedder:
    """Settings from the environment: GCP_PROJECT_ID (default: the project of the instance in
    INSTANCE_CONNECTION_NAME) and GCP_LOCATION (default us-central1).

    VERTEX_ENDPOINT (host:port) names another server, without TLS and credentials: for tests.
    """

    def __init__(self, model: Model, env: Mapping[str, str] = os.environ):
        self.model = model
        self.meter: Meter | None = None
        self._endpoint = endpoint_of(model, env)
        self._client = client_for(env)
        self._estimate = TokenEstimate()

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        """Raises SomeRefused, with the vectors of the others, when texts are too long."""
        requests = list(packed(texts, self.model, self._estimate))
        vectors = np.empty((len(texts), self.model.dimension), np.float32)
        refused: dict[int, str] = {}
        with ThreadPoolExecutor(max(1, min(CONCURRENT, len(requests)))) as pool:
            asked = pool.map(self._documents, [[texts[i] for i in places] for places in requests])
            for places, (found, faults) in zip(requests, asked, strict=True):
                vectors[places.start : places.stop] = found
                refused |= {places[i]: reason for i, reason in faults.items()}
        if refused:
            raise SomeRefused(refused, vectors)
        return vectors

    def embed_query(self, text: str) -> np.ndarray:
        vectors, faults = self._predict([text], self.model.query_task)
        if faults:
            raise TextTooLong(faults[0])
        return vectors[0]

    def _documents(self, texts: Sequence[str]) -> tuple[np.ndarray, dict[int, str]]:
        try:
            return self._predict(texts, self.model.document_task)
        except RowRefused as error:
            if len(texts) > 1:
                raise  # which of them it is, the one who asks finds out
            return np.zeros((1, self.model.dimension), np.float32), {0: str(error)}

    def _predict(self, texts: Sequence[str], task: str | None) -> tuple[np.ndarray, dict[int, str]]:
        """Vectors of shape (len(texts), dimension), and by place why one is not to be used."""
        if self.meter:
            self.meter.before(sum(self._estimate.of(text) for text in texts))
        extra = {"task_type": task} if task else {}
        shorter = {"outputDimensionality": self.model.dimension} if self.model.shortened else {}
        try:
            answer = self._client.predict(
                endpoint=self._endpoint,
                instances=[ParseDict({"content": text, **extra}, Value()) for text in texts],
                parameters=ParseDict(shorter, Value()),
                timeout=ATTEMPT_SECONDS,
                retry=Retry(predicate=_is_transient, initial=0.5, timeout=DEADLINE_SECONDS),
            )
        except google.RetryError as error:
            raise told_apart(self.model, error.cause or error) from None
        except (google.GoogleAPICallError, GoogleAuthError) as error:
            raise told_apart(self.model, error) from None
        found = [p.struct_value.fields["embeddings"].struct_value for p in answer._pb.predictions]
        values = [[v.number_value for v in e.fields["values"].list_value.values] for e in found]
        vectors = checked(values, len(texts), self.model)
        if self.model.shortened:  # cut to its first dimensions, a vector has no unit length
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        counted = [e.fields["statistics"].struct_value.fields for e in found]
        tokens = int(sum(fields["token_count"].number_value for fields in counted))
        self._estimate.learn(texts, tokens)
        if self.meter:
            self.meter.after(tokens)
        return vectors, {
            place: f"a text of {len(texts[place])} characters; {self.model.name} takes "
            f"{self.model.max_tokens_per_text} tokens and would cut it: shorten it"
            for place, fields in enumerate(counted)
            if fields["truncated"].bool_value
        }


load = VertexEmbedder

"""Google's text embedding models on Vertex AI, over gRPC.

`PredictionServiceClient` and the raw protobuf, never `vertexai` or `google.cloud.aiplatform`:
those cost the function 2 s and 220 MB at the start, and ten times the time for decoding.
Reference: Vertex AI, "Text embeddings API".
"""

import copy
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from google.api_core import exceptions as google
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Value

from ragkit.embedding.catalogue import Model
from ragkit.embedding.embedder import RequestMeter, validate_vectors
from ragkit.embedding.requests import TokenEstimator, pack_requests
from ragkit.embedding.vertex_client import (
    classify_error,
    lacks_credentials,
    make_client,
    model_endpoint,
)
from ragkit.errors import PartialRefusal, RowRefused, TextTooLong

DEADLINE_SECONDS = 30.0
"""For one call with all its retries: a caller of the function waits no longer."""
ATTEMPT_SECONDS = 10.0
MAX_IN_FLIGHT = 8
"""Requests in flight; the meter decides how fast they leave."""

Prediction = tuple[np.ndarray, dict[int, str]]
"""Vectors of shape (texts, dimension), and by position why a vector must not be used."""

_is_passing = if_exception_type(
    google.ResourceExhausted,
    google.ServiceUnavailable,
    google.InternalServerError,
    google.DeadlineExceeded,
)


def _should_retry(error: BaseException) -> bool:
    return isinstance(error, Exception) and _is_passing(error) and not lacks_credentials(error)


class VertexEmbedder:
    """An Embedder. Settings from the environment: GCP_PROJECT_ID (default: the project in
    INSTANCE_CONNECTION_NAME) and GCP_LOCATION (default: us-central1).

    VERTEX_ENDPOINT (host:port) names another server, without TLS and credentials, for tests.
    """

    def __init__(self, model: Model, env: Mapping[str, str] = os.environ):
        self.model = model
        self._meter: RequestMeter | None = None
        self._endpoint = model_endpoint(model, env)
        self._client = make_client(env)
        self._estimator = TokenEstimator()

    def with_meter(self, meter: RequestMeter) -> "VertexEmbedder":
        """An embedder with the same client, whose requests go through `meter`."""
        metered = copy.copy(self)
        metered._meter = meter
        return metered

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        """Raises PartialRefusal, with the vectors of the others, when texts are too long."""
        requests = list(pack_requests(texts, self.model, self._estimator))
        vectors = np.empty((len(texts), self.model.dimension), np.float32)
        refused: dict[int, str] = {}
        with ThreadPoolExecutor(max(1, min(MAX_IN_FLIGHT, len(requests)))) as pool:
            batches = [[texts[i] for i in positions] for positions in requests]
            answers = pool.map(self._predict_documents, batches)
            for positions, (answered, reasons) in zip(requests, answers, strict=True):
                vectors[positions.start : positions.stop] = answered
                refused |= {positions[i]: reason for i, reason in reasons.items()}
        if refused:
            raise PartialRefusal(refused, vectors)
        return vectors

    def embed_query(self, text: str) -> np.ndarray:
        vectors, refused = self._predict([text], self.model.query_task)
        if refused:
            raise TextTooLong(refused[0])
        vector: np.ndarray = vectors[0]
        return vector

    def _predict_documents(self, texts: Sequence[str]) -> Prediction:
        try:
            return self._predict(texts, self.model.document_task)
        except RowRefused as error:
            if len(texts) > 1:
                raise  # the caller halves the batch until one text is left
            return np.zeros((1, self.model.dimension), np.float32), {0: str(error)}

    def _predict(self, texts: Sequence[str], task: str | None) -> Prediction:
        if self._meter:
            self._meter.before(sum(self._estimator.estimate(text) for text in texts))
        task_type = {"task_type": task} if task else {}
        shorter = {"outputDimensionality": self.model.dimension} if self.model.shortened else {}
        try:
            response = self._client.predict(
                endpoint=self._endpoint,
                instances=[ParseDict({"content": text, **task_type}, Value()) for text in texts],
                parameters=ParseDict(shorter, Value()),
                timeout=ATTEMPT_SECONDS,
                retry=Retry(predicate=_should_retry, initial=0.5, timeout=DEADLINE_SECONDS),
            )
        except google.RetryError as error:
            raise classify_error(self.model, error.cause or error) from None
        except (google.GoogleAPICallError, GoogleAuthError) as error:
            raise classify_error(self.model, error) from None
        answers = [
            p.struct_value.fields["embeddings"].struct_value for p in response._pb.predictions
        ]
        values = [[v.number_value for v in a.fields["values"].list_value.values] for a in answers]
        vectors = validate_vectors(values, len(texts), self.model)
        if self.model.shortened:  # the first dimensions of a unit vector have no unit length
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        statistics = [a.fields["statistics"].struct_value.fields for a in answers]
        tokens = int(sum(fields["token_count"].number_value for fields in statistics))
        self._estimator.learn(texts, tokens)
        if self._meter:
            self._meter.after(tokens)
        return vectors, {
            position: f"a text of {len(texts[position])} characters; {self.model.name} takes "
            f"{self.model.max_tokens_per_text} tokens and would cut it: shorten it"
            for position, fields in enumerate(statistics)
            if fields["truncated"].bool_value
        }


load = VertexEmbedder

"""Google's text embedding models on Vertex AI: questions over REST, rows over gRPC.

The function asks questions only, and starts without Google's client, which takes a second of CPU
and 100 MB. Reference: Vertex AI, "Text embeddings API".
"""

import copy
import os
from collections.abc import Mapping, Sequence
from functools import cache, cached_property, partial
from multiprocessing.pool import ThreadPool
from typing import Any

import numpy as np

from ragkit.embedding.batch.protocol import BatchEmbedder
from ragkit.embedding.catalogue import Model, has_batches
from ragkit.embedding.embedder import RequestMeter, fit_vectors
from ragkit.embedding.requests import TokenEstimator, pack_requests
from ragkit.embedding.vertex_ai.credentials import find_credentials
from ragkit.embedding.vertex_ai.rest_client import RestClient
from ragkit.embedding.vertex_ai.service import (
    Instances,
    PredictionClient,
    resource_name,
    shape_instances,
    shape_parameters,
)
from ragkit.errors import ModelBusy, PartialRefusal, RowRefused, TextTooLong

Answer = tuple[np.ndarray, dict[int, str]]
"""Vectors of shape (texts, dimension), and by position why a vector must not be used."""


class VertexEmbedder:
    """An Embedder. Settings from the environment: GCP_PROJECT_ID (default: the project in
    INSTANCE_CONNECTION_NAME) and GCP_LOCATION (default: us-central1).

    VERTEX_ENDPOINT (host:port) names another server, without TLS and credentials, for tests. As
    Google's, it speaks REST and gRPC on one port.
    """

    def __init__(self, model: Model, env: Mapping[str, str] = os.environ):
        """Raises ConfigError, or ModelUnavailable without credentials."""
        self.model = model
        self._meter: RequestMeter | None = None
        resource_name(model, env)  # a wrong setting is told first
        self._env, self._credentials = env, (credentials := find_credentials(env))
        self._questions: PredictionClient = RestClient(model, env, credentials)
        self._rows = cache(partial(_make_grpc_client, model, env, credentials))
        self._estimator = TokenEstimator()

    def with_meter(self, meter: RequestMeter) -> "VertexEmbedder":
        """An embedder with the same clients, whose requests go through `meter`."""
        metered = copy.copy(self)
        metered._meter = meter
        return metered

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        """One request after the other, where one is not enough. Raises PartialRefusal, with the
        vectors of the others, when texts are too long."""
        requests = list(pack_requests(texts, self.model, self._estimator))
        vectors = np.empty((len(texts), self.model.dimension), np.float32)
        refused: dict[int, str] = {}
        for positions in requests:
            batch = [texts[i] for i in positions]
            answered, reasons = self._predict_documents(self._rows(), batch)
            vectors[positions.start : positions.stop] = answered
            refused |= {positions[i]: reason for i, reason in reasons.items()}
        if refused:
            raise PartialRefusal(refused, vectors)
        return vectors

    def embed_query(self, text: str) -> np.ndarray:
        vectors, refused = self._predict(self._questions, [text], self.model.query_task)
        if refused:
            raise TextTooLong(refused[0])
        vector: np.ndarray = vectors[0]
        return vector

    def embed_jointly(
        self, question: str, texts: Sequence[str]
    ) -> tuple[np.ndarray, dict[int, np.ndarray | None]]:
        """One request over REST, and beside it those that do not fit: gemini-embedding-001 takes
        one text in each."""
        everything = [question, *texts]
        instances = [
            *shape_instances([question], self.model.query_task),
            *shape_instances(texts, self.model.document_task),
        ]

        def send(places: range) -> dict[int, np.ndarray | None]:
            part = slice(places.start, places.stop)
            try:
                vectors, refused = self._send(self._questions, everything[part], instances[part])
            except (RowRefused, ModelBusy) as error:
                if 0 in places:
                    raise
                is_refused = isinstance(error, RowRefused) and len(places) == 1
                return {places[0]: None} if is_refused else {}
            return {places[n]: None if n in refused else each for n, each in enumerate(vectors)}

        packed = list(pack_requests(everything, self.model, self._estimator))
        with ThreadPool(min(self.model.in_flight, len(packed))) as pool:  # keeps no process alive
            found = dict(pair for part in pool.map(send, packed) for pair in part.items())
        if (vector := found.pop(0)) is None:
            raise TextTooLong(
                f"the question has {len(question)} characters: {self.model.name} would cut it"
            )
        return vector, {place - 1: each for place, each in found.items()}

    def _predict_documents(self, client: PredictionClient, texts: Sequence[str]) -> Answer:
        try:
            return self._predict(client, texts, self.model.document_task)
        except RowRefused as error:
            if len(texts) > 1:
                raise  # the caller halves the batch until one text is left
            return np.zeros((1, self.model.dimension), np.float32), {0: str(error)}

    def _predict(self, client: PredictionClient, texts: Sequence[str], task: str | None) -> Answer:
        return self._send(client, texts, shape_instances(texts, task))

    def _send(self, client: PredictionClient, texts: Sequence[str], instances: Instances) -> Answer:
        if self._meter:
            self._meter.before(sum(self._estimator.estimate(text) for text in texts))
        busy = self._meter.busy if self._meter else None
        predictions = client.predict(instances, shape_parameters(self.model), busy)
        vectors = fit_vectors([p.values for p in predictions], len(texts), self.model)
        tokens = sum(prediction.tokens for prediction in predictions)
        self._estimator.learn(texts, tokens)
        if self._meter:
            self._meter.after(tokens)
        return vectors, {
            position: f"a text of {len(texts[position])} characters; {self.model.name} takes "
            f"{self.model.max_tokens_per_text} tokens and would cut it: shorten it"
            for position, prediction in enumerate(predictions)
            if prediction.truncated
        }


def _make_grpc_client(model: Model, env: Mapping[str, str], credentials: Any) -> PredictionClient:
    from ragkit.embedding.vertex_ai.grpc_client import GrpcClient

    return GrpcClient(model, env, credentials)


class BatchVertexEmbedder(VertexEmbedder):
    """Of a model whose `batch_folder` is known: a BatchingEmbedder."""

    @cached_property
    def batches(self) -> BatchEmbedder:
        """Made when it is asked for: the function has the same facts, and not its packages."""
        from ragkit.embedding.batch.vertex import VertexBatches

        return VertexBatches(self.model, self._env, self._credentials)


def load(model: Model, env: Mapping[str, str]) -> VertexEmbedder:
    """Raises ConfigError, or ModelUnavailable without credentials."""
    has_folder = model.batch_folder and has_batches(model)
    return BatchVertexEmbedder(model, env) if has_folder else VertexEmbedder(model, env)

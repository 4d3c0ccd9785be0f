"""The embedder of a service that is asked by its maker's SDK: packing, metering, deadlines, checks.

The SDK's own retries are off: a backfill has other requests in flight and sends fewer, and a
question is asked again here, within its deadline.
"""

import copy
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ragkit.deadline import call_within
from ragkit.embedding.batch.protocol import BatchEmbedder
from ragkit.embedding.catalogue import CHARACTERS_PER_TOKEN, Model
from ragkit.embedding.embedder import RequestMeter, fit_vectors
from ragkit.embedding.requests import TokenEstimator, pack_requests
from ragkit.embedding.service.errors import explain_error, status_of
from ragkit.errors import BadVectors, ModelBusy, PartialRefusal, RowRefused, TextTooLong

CALL_SECONDS = 60.0
"""For one request, also of a service that sends a byte now and then."""
QUESTION_SECONDS = 30.0
"""For one question with all its retries: a caller of the function waits no longer."""
FIRST_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Answer:
    """What a request brought: a vector a text, in order. `tokens` as the service counted them;
    None where it does not say."""

    vectors: Sequence[Sequence[float]]
    tokens: int | None


class Client(Protocol):
    """One request by an SDK. `passing` are its errors that have no HTTP status and pass; `key` is
    the variable with the key."""

    passing: tuple[type[Exception], ...]
    key: str

    def embed(self, texts: Sequence[str], is_query: bool) -> Answer:
        """Raises the SDK's errors, or ModelError."""
        ...


class ServiceEmbedder:
    """A MeteredEmbedder around a client."""

    def __init__(self, model: Model, client: Client):
        self.model, self._client = model, client
        self._meter: RequestMeter | None = None
        self._estimator = TokenEstimator()

    def with_meter(self, meter: RequestMeter) -> "ServiceEmbedder":
        """An embedder with the same client, whose requests go through `meter`."""
        metered = copy.copy(self)
        metered._meter = meter
        return metered

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        """One request after the other, where one is not enough. Raises PartialRefusal, with the
        vectors of the others, when texts that were sent alone are refused."""
        vectors = np.zeros((len(texts), self.model.dimension), np.float32)
        refused: dict[int, str] = {}
        requests = list(pack_requests(texts, self.model, self._estimator))
        for places in requests:
            part = [self.model.document_prefix + texts[place] for place in places]
            try:
                vectors[places.start : places.stop] = self._send(part, is_query=False)
            except RowRefused as error:
                if len(places) > 1 or len(requests) == 1:
                    raise  # the caller halves the batch until one text is left
                refused[places[0]] = str(error)
        if refused:
            raise PartialRefusal(refused, vectors)
        return vectors

    def embed_query(self, text: str) -> np.ndarray:
        """Asks a busy service again, as late as it says, within QUESTION_SECONDS."""
        end, pause = time.monotonic() + QUESTION_SECONDS, FIRST_PAUSE_SECONDS
        while True:
            try:
                return self._ask(text, end)
            except ModelBusy as error:
                wait = max(random.uniform(0, pause), error.wait_seconds)
                if time.monotonic() + wait > end:
                    raise
            time.sleep(wait)
            pause *= 2

    def _ask(self, text: str, end: float) -> np.ndarray:
        seconds = max(0.1, end - time.monotonic())
        try:
            vectors = self._send([self.model.query_prefix + text], is_query=True, seconds=seconds)
        except RowRefused as error:
            raise TextTooLong(str(error)) from None
        vector: np.ndarray = vectors[0]
        return vector

    def _send(
        self, texts: Sequence[str], is_query: bool, seconds: float = CALL_SECONDS
    ) -> np.ndarray:
        estimate = sum(self._estimator.estimate(text) for text in texts)
        if self._meter:
            self._meter.before(estimate)
        try:
            answer = call_within(min(seconds, CALL_SECONDS), self._client.embed, texts, is_query)
        except Exception as error:  # each SDK has its own
            if self._meter and status_of(error) == 429:
                self._meter.busy()
            raise explain_error(self.model, error, self._client.passing, self._client.key) from None
        tokens = _count(answer.tokens)
        if tokens is None:
            tokens = sum(map(len, texts)) // CHARACTERS_PER_TOKEN + 1
        else:
            self._estimator.learn(texts, tokens)
        if self._meter:
            self._meter.after(tokens)  # a wrong answer is paid for too
        vectors = fit_vectors(answer.vectors, len(texts), self.model)
        if not vectors.any(axis=1).all():
            raise BadVectors(
                f"{self.model.name} answered a vector of zeros, which no search by cosine finds"
            )
        return vectors


def _count(tokens: object) -> int | None:
    """None for what is no count: not every server of one's own keeps to the protocol."""
    try:
        count = int(tokens)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        return None
    return count if count >= 0 else None


class BatchServiceEmbedder(ServiceEmbedder):
    """Of a service that has a batch API too: a BatchingEmbedder."""

    def __init__(self, model: Model, client: Client, batches: BatchEmbedder):
        super().__init__(model, client)
        self.batches = batches

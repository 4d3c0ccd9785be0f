"""One question over REST, by google-auth's session."""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests
from google.auth.exceptions import GoogleAuthError, TransportError
from google.auth.transport.requests import AuthorizedSession

from ragkit.embedding.catalogue import Model
from ragkit.embedding.vertex_ai import service
from ragkit.embedding.vertex_ai.errors import NO_TOKEN, PASSING, QUOTA, explain_status
from ragkit.embedding.vertex_ai.service import Instances, Prediction
from ragkit.errors import BadVectors

_STATUSES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 502: "UNAVAILABLE", 503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}  # fmt: skip
"""For an answer whose body names no status, as that of a proxy."""


class _StatusError(Exception):
    """The service, or the way to it, answered this status."""

    def __init__(self, status: str):
        self.status = status


class RestClient:
    """A PredictionClient."""

    def __init__(self, model: Model, env: Mapping[str, str], credentials: Any):
        self._model = model
        endpoint = env.get("VERTEX_ENDPOINT")
        place = f"http://{endpoint}" if endpoint else f"https://{service.service_host(env)}"
        self._url = f"{place}/v1/{service.resource_name(model, env)}:predict"
        self._session = AuthorizedSession(credentials) if credentials else requests.Session()

    def predict(
        self,
        instances: Instances,
        parameters: Mapping[str, Any],
        busy: Callable[[], None] | None = None,
    ) -> list[Prediction]:
        end, pause = time.monotonic() + service.DEADLINE_SECONDS, service.FIRST_PAUSE_SECONDS
        body = {"instances": instances, "parameters": parameters}
        while True:
            try:
                return self._read_all(self._post(body))
            except _StatusError as error:
                if busy and error.status == QUOTA:
                    busy()
                wait = random.uniform(0, pause)
                if error.status not in PASSING or time.monotonic() + wait > end:
                    raise explain_status(self._model, error.status) from None
            time.sleep(wait)
            pause *= 2

    def _post(self, body: Mapping[str, Any]) -> Any:
        """The answer's JSON; None when it is none. Raises _StatusError."""
        try:
            answer = self._session.post(self._url, json=body, timeout=service.ATTEMPT_SECONDS)
        except GoogleAuthError as error:
            passing = error.retryable or isinstance(error, TransportError)
            raise _StatusError("UNAVAILABLE" if passing else NO_TOKEN) from None
        except requests.Timeout:
            raise _StatusError("DEADLINE_EXCEEDED") from None
        except requests.RequestException:
            raise _StatusError("UNAVAILABLE") from None
        try:
            said = answer.json()
        except ValueError:
            said = None
        if answer.status_code != 200:
            raise _StatusError(_find_status(answer.status_code, said))
        return said

    def _read_all(self, answer: Any) -> list[Prediction]:
        try:
            return [_read(prediction["embeddings"]) for prediction in answer["predictions"]]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise BadVectors(f"{self._model.name} answered no embeddings") from None


def _find_status(code: int, said: Any) -> str:
    error = said.get("error") if isinstance(said, dict) else None
    status = error.get("status") if isinstance(error, dict) else None
    return status if isinstance(status, str) else _STATUSES.get(code, "UNKNOWN")


def _read(embeddings: Any) -> Prediction:
    statistics = embeddings.get("statistics", {})
    tokens, truncated = statistics.get("token_count", 0), statistics.get("truncated", False)
    return Prediction(embeddings["values"], int(tokens), bool(truncated))

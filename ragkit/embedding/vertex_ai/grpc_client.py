"""Batches of rows over gRPC: Google's `PredictionServiceClient`, and the raw protobuf.

Its import takes a second of CPU and 100 MB, which a question is not worth, and decodes 250 vectors
ten times as fast as REST.
"""

from collections.abc import Callable, Mapping
from typing import Any

import grpc
from google.api_core import exceptions as google
from google.api_core.client_options import ClientOptions
from google.api_core.retry import Retry
from google.auth.exceptions import GoogleAuthError
from google.cloud.aiplatform_v1.services.prediction_service import PredictionServiceClient
from google.cloud.aiplatform_v1.services.prediction_service.transports.grpc import (
    PredictionServiceGrpcTransport,
)
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Value

from ragkit.embedding.catalogue import Model
from ragkit.embedding.vertex_ai import service
from ragkit.embedding.vertex_ai.errors import NO_TOKEN, PASSING, QUOTA, explain_status
from ragkit.embedding.vertex_ai.service import Instances, Prediction

MESSAGE_BYTES = 32 * 2**20
"""250 vectors of 3,072 dimensions exceed gRPC's default of 4 MB."""


class GrpcClient:
    """A PredictionClient. A request beyond the quota is not repeated here: the caller has others
    in flight, and sends fewer."""

    def __init__(self, model: Model, env: Mapping[str, str], credentials: Any):
        self._model, self._name = model, service.resource_name(model, env)
        self._client = _make_client(env, credentials)

    def predict(
        self,
        instances: Instances,
        parameters: Mapping[str, Any],
        busy: Callable[[], None] | None = None,
    ) -> list[Prediction]:
        try:
            response = self._client.predict(
                endpoint=self._name,
                instances=[ParseDict(dict(instance), Value()) for instance in instances],
                parameters=ParseDict(dict(parameters), Value()),
                timeout=service.ATTEMPT_SECONDS,
                retry=Retry(
                    predicate=lambda error: _status(error) in PASSING - {QUOTA},
                    initial=service.FIRST_PAUSE_SECONDS,
                    timeout=service.DEADLINE_SECONDS,
                ),
            )
        except google.RetryError as error:
            raise explain_status(self._model, _status(error.cause or error)) from None
        except (google.GoogleAPICallError, GoogleAuthError) as error:
            if busy and _status(error) == QUOTA:
                busy()
            raise explain_status(self._model, _status(error)) from None
        return [_read(p.struct_value.fields["embeddings"]) for p in response._pb.predictions]


def _make_client(env: Mapping[str, str], credentials: Any) -> PredictionServiceClient:
    if endpoint := env.get("VERTEX_ENDPOINT"):
        limit = [("grpc.max_receive_message_length", MESSAGE_BYTES)]
        channel = grpc.insecure_channel(endpoint, options=limit)
        return PredictionServiceClient(transport=PredictionServiceGrpcTransport(channel=channel))
    options = ClientOptions(api_endpoint=service.service_host(env))
    return PredictionServiceClient(credentials=credentials, client_options=options)


def _read(embeddings: Value) -> Prediction:
    fields = embeddings.struct_value.fields
    statistics = fields["statistics"].struct_value.fields
    return Prediction(
        [value.number_value for value in fields["values"].list_value.values],
        int(statistics["token_count"].number_value),
        statistics["truncated"].bool_value,
    )


def _status(error: BaseException) -> str:
    """gRPC says "unavailable" when the credentials yield no token; retrying would not help."""
    unavailable = isinstance(error, google.ServiceUnavailable)
    if isinstance(error, GoogleAuthError) or (unavailable and "metadata from plugin" in str(error)):
        return NO_TOKEN
    if isinstance(error, google.RetryError):
        return "DEADLINE_EXCEEDED"
    code = getattr(error, "grpc_status_code", None)
    return str(code.name) if code else "UNKNOWN"

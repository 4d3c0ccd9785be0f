"""The client of Vertex AI's prediction service: endpoint, channel, and what its errors mean."""

import re
from collections.abc import Mapping

import grpc
from google.api_core import exceptions as google
from google.api_core.client_options import ClientOptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.aiplatform_v1.services.prediction_service import PredictionServiceClient
from google.cloud.aiplatform_v1.services.prediction_service.transports.grpc import (
    PredictionServiceGrpcTransport,
)

from ragkit.embedding.catalogue import Model
from ragkit.errors import ConfigError, ModelBusy, ModelError, ModelUnavailable, RowRefused

MESSAGE_BYTES = 32 * 2**20
"""250 vectors of 3,072 dimensions exceed gRPC's default of 4 MB."""
_REGION = re.compile(r"global|[a-z]+-[a-z]+\d+")
_REMEDIES: dict[type[Exception], str] = {
    google.InvalidArgument: "the model does not take this text",
    google.NotFound: "this project or region has no such model, or it is retired: choose another",
    google.PermissionDenied: "grant roles/aiplatform.user to the account that asks, enable "
    "aiplatform.googleapis.com, and check GCP_PROJECT_ID; a model that is retired for new "
    "projects answers the same",
    google.Unauthenticated: "run gcloud auth application-default login",
    google.ResourceExhausted: "the quota is used up: wait, or request a higher one",
    google.DeadlineExceeded: "no answer in time: try again",
    google.ServiceUnavailable: "cannot be reached: check GCP_LOCATION and the network",
    GoogleAuthError: "the credentials do not work: run gcloud auth application-default login",
}


def model_endpoint(model: Model, env: Mapping[str, str]) -> str:
    """The model's resource name. Raises ConfigError when the project is missing or the region
    cannot be one."""
    instance = env.get("INSTANCE_CONNECTION_NAME", "")
    project = env.get("GCP_PROJECT_ID") or ":".join(instance.split(":")[:-2])
    if not project:
        raise ConfigError(f"model {model.name} runs on Vertex AI: set GCP_PROJECT_ID")
    location = _location(env)
    return f"projects/{project}/locations/{location}/publishers/google/models/{model.served_name}"


def make_client(env: Mapping[str, str]) -> PredictionServiceClient:
    """Raises ModelUnavailable without credentials."""
    if endpoint := env.get("VERTEX_ENDPOINT"):
        limit = [("grpc.max_receive_message_length", MESSAGE_BYTES)]
        channel = grpc.insecure_channel(endpoint, options=limit)
        return PredictionServiceClient(transport=PredictionServiceGrpcTransport(channel=channel))
    location = _location(env)
    host = "aiplatform" if location == "global" else f"{location}-aiplatform"
    options = ClientOptions(api_endpoint=f"{host}.googleapis.com")
    try:
        return PredictionServiceClient(client_options=options)
    except GoogleAuthError:
        raise ModelUnavailable(
            "no Google credentials here: run gcloud auth application-default login"
        ) from None


def lacks_credentials(error: BaseException) -> bool:
    """gRPC says "unavailable" when the credentials yield no token; retrying would not help."""
    unavailable = isinstance(error, google.ServiceUnavailable)
    return unavailable and "metadata from plugin" in str(error)


def classify_error(model: Model, error: BaseException) -> ModelError:
    """RowRefused for one request, ModelBusy for what passes, ModelUnavailable for every row.

    Google's own words are left out: they may quote a text.
    """
    if lacks_credentials(error):
        error = GoogleAuthError("no token")
    remedy = next((text for kind, text in _REMEDIES.items() if isinstance(error, kind)), None)
    message = f"{model.name}: {type(error).__name__}; {remedy or 'try again'}"
    if isinstance(error, google.InvalidArgument):
        return RowRefused(message)
    busy = (google.ResourceExhausted, google.ServerError, google.RetryError)
    return ModelBusy(message) if isinstance(error, busy) else ModelUnavailable(message)


def _location(env: Mapping[str, str]) -> str:
    location = env.get("GCP_LOCATION") or "us-central1"
    if not _REGION.fullmatch(location):
        raise ConfigError(f"GCP_LOCATION is {location!r}: expected a region such as us-central1")
    return location

"""The way to Vertex AI: whose model, by which client, and what its errors mean."""

import re
from collections.abc import Mapping

import grpc
from google.api_core import exceptions as google
from google.api_core.client_options import ClientOptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.aiplatform_v1.services.prediction_service import PredictionServiceClient
from google.cloud.aiplatform_v1.services.prediction_service.transports import (
    PredictionServiceGrpcTransport,
)

from ragkit.errors import ConfigError, ModelBusy, ModelError, ModelUnavailable, RowRefused
from ragkit.models import Model

MESSAGE_BYTES = 32 * 2**20
"""250 vectors of 3,072 dimensions are above gRPC's default of 4 MB."""
_REGION = re.compile(r"global|[a-z]+-[a-z]+\d+")
_WAY_OUT = {
    google.InvalidArgument: "the model does not take this text",
    google.NotFound: "this project or region has no such model, or it is retired: choose another",
    google.PermissionDenied: "grant roles/aiplatform.user to the account that asks, enable "
    "aiplatform.googleapis.com, and check GCP_PROJECT_ID; a model that was retired for new "
    "projects answers so too",
    google.Unauthenticated: "run gcloud auth application-default login",
    google.ResourceExhausted: "the quota is used up: wait, or ask for more",
    google.DeadlineExceeded: "no answer in time: try again",
    google.ServiceUnavailable: "cannot be reached: check GCP_LOCATION and the network",
    GoogleAuthError: "the credentials do not work: run gcloud auth application-default login",
}


def endpoint_of(model: Model, env: Mapping[str, str]) -> str:
    """Raises ConfigError when the project is missing or the region cannot be one."""
    instance = env.get("INSTANCE_CONNECTION_NAME", "")
    project = env.get("GCP_PROJECT_ID") or ":".join(instance.split(":")[:-2])
    if not project:
        raise ConfigError(f"model {model.name} runs on Vertex AI: set GCP_PROJECT_ID")
    return f"projects/{project}/locations/{_location(env)}/publishers/google/models/{model.served}"


def client_for(env: Mapping[str, str]) -> PredictionServiceClient:
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


def without_credentials(error: Exception) -> bool:
    """gRPC calls it "unavailable" when the credentials give no token, and would be asked again."""
    unavailable = isinstance(error, google.ServiceUnavailable)
    return unavailable and "metadata from plugin" in str(error)


def told_apart(model: Model, error: Exception) -> ModelError:
    """What concerns one request, what passes, and what concerns every row; Google's own words
    are left out, they may quote a text."""
    if without_credentials(error):
        error = GoogleAuthError("no token")
    way_out = next((text for kind, text in _WAY_OUT.items() if isinstance(error, kind)), None)
    said = f"{model.name}: {type(error).__name__}; {way_out or 'try again'}"
    if isinstance(error, google.InvalidArgument):
        return RowRefused(said)
    busy = (google.ResourceExhausted, google.ServerError, google.RetryError)
    return ModelBusy(said) if isinstance(error, busy) else ModelUnavailable(said)


def _location(env: Mapping[str, str]) -> str:
    location = env.get("GCP_LOCATION") or "us-central1"
    if not _REGION.fullmatch(location):
        raise ConfigError(f"GCP_LOCATION is {location!r}: expected a region such as us-central1")
    return location

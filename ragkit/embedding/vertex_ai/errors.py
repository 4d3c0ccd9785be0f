"""What the service's errors mean, by the status that gRPC and REST both send."""

from ragkit.embedding.catalogue import Model
from ragkit.errors import ModelBusy, ModelError, ModelUnavailable, RowRefused

NO_TOKEN = "NO_TOKEN"
"""Not of the service: the credentials yield no token."""
QUOTA = "RESOURCE_EXHAUSTED"
PASSING = {QUOTA, "UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED"}
"""Worth a retry at once."""
_BUSY = PASSING | {"UNKNOWN", "DATA_LOSS", "UNIMPLEMENTED"}
_REMEDIES = {
    "INVALID_ARGUMENT": "the model does not take this text",
    "NOT_FOUND": "this project or region has no such model, or it is retired: choose another",
    "PERMISSION_DENIED": "grant roles/aiplatform.user to the account that asks, enable "
    "aiplatform.googleapis.com, and check GCP_PROJECT_ID; a model that is retired for new "
    "projects answers the same",
    "UNAUTHENTICATED": "run gcloud auth application-default login",
    QUOTA: "the quota is used up: wait, or request a higher one",
    "DEADLINE_EXCEEDED": "no answer in time: try again",
    "UNAVAILABLE": "cannot be reached: check GCP_LOCATION and the network",
    NO_TOKEN: "the credentials do not work: run gcloud auth application-default login",
}


def explain_status(model: Model, status: str) -> ModelError:
    """RowRefused for one request, ModelBusy for what passes, ModelUnavailable for every row.

    Google's own words are left out: they may quote a text.
    """
    message = f"{model.name}: {status}; {_REMEDIES.get(status, 'try again')}"
    if status == "INVALID_ARGUMENT":
        return RowRefused(message)
    return ModelBusy(message) if status in _BUSY else ModelUnavailable(message)

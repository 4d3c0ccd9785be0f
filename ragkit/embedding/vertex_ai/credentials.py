"""Google's application default credentials."""

from collections.abc import Mapping
from typing import Any

import google.auth
from google.auth.exceptions import GoogleAuthError

from ragkit.errors import ModelUnavailable

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


def find_credentials(env: Mapping[str, str]) -> Any:
    """None for a stand-in of the service. Raises ModelUnavailable when there are none."""
    if env.get("VERTEX_ENDPOINT"):
        return None
    try:
        credentials, _ = google.auth.default(scopes=SCOPES)
    except GoogleAuthError:
        raise ModelUnavailable(
            "no Google credentials here: run gcloud auth application-default login"
        ) from None
    return credentials

"""The database password: from the environment, or from Google's Secret Manager by its name."""

import os
from collections.abc import Mapping
from typing import Any

from ragkit.errors import ConfigError

TIMEOUT_SECONDS = 20.0


def read_password(env: Mapping[str, str] = os.environ) -> str | None:
    """DB_PASS, or the secret that DB_PASS_SECRET names (projects/P/secrets/S[/versions/V], or S).

    SECRET_MANAGER_ENDPOINT (host:port) names another server, without TLS and credentials, for
    tests. Raises ConfigError when the secret cannot be read; no message holds its value.
    """
    if env.get("DB_PASS") or not env.get("DB_PASS_SECRET"):
        return env.get("DB_PASS")
    name, package = _full_name(env), _import_package()
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError

    try:
        version = _client(env, package).access_secret_version(name=name, timeout=TIMEOUT_SECONDS)
        password: str = version.payload.data.decode()
        return password
    except (GoogleAPICallError, GoogleAuthError) as error:
        raise ConfigError(
            f"the secret {name} cannot be read ({type(error).__name__}): check DB_PASS_SECRET, "
            "the credentials (gcloud auth application-default login) and "
            "roles/secretmanager.secretAccessor"
        ) from None


def _full_name(env: Mapping[str, str]) -> str:
    name = env["DB_PASS_SECRET"]
    if not name.startswith("projects/"):
        if not (project := env.get("GCP_PROJECT_ID")):
            raise ConfigError("DB_PASS_SECRET is a short name: set GCP_PROJECT_ID too")
        name = f"projects/{project}/secrets/{name}"
    return name if "/versions/" in name else f"{name}/versions/latest"


def _import_package() -> Any:
    try:
        from google.cloud import secretmanager_v1
    except ImportError:
        raise ConfigError(
            "DB_PASS_SECRET needs the package google-cloud-secret-manager; in the function, mount "
            "the secret as DB_PASS instead (--set-secrets)"
        ) from None
    return secretmanager_v1


def _client(env: Mapping[str, str], package: Any) -> Any:
    if endpoint := env.get("SECRET_MANAGER_ENDPOINT"):
        import grpc
        from google.cloud.secretmanager_v1.services.secret_manager_service.transports.grpc import (
            SecretManagerServiceGrpcTransport,
        )

        transport = SecretManagerServiceGrpcTransport(channel=grpc.insecure_channel(endpoint))
        return package.SecretManagerServiceClient(transport=transport)
    return package.SecretManagerServiceClient()

"""Secrets: from the environment, or from Google's Secret Manager by their names there."""

import os
from collections.abc import Mapping
from typing import Any

from ragkit.errors import ConfigError

TIMEOUT_SECONDS = 20.0


def read_password(env: Mapping[str, str] = os.environ) -> str | None:
    """The database password: DB_PASS, or the secret that DB_PASS_SECRET names. As read_secret."""
    return read_secret("DB_PASS", env)


def read_secret(variable: str, env: Mapping[str, str] = os.environ) -> str | None:
    """The variable's value, or the secret that VARIABLE_SECRET names
    (projects/P/secrets/S[/versions/V], or S); None without either.

    SECRET_MANAGER_ENDPOINT (host:port) names another server, without TLS and credentials, for
    tests. Raises ConfigError when the secret cannot be read; no message holds its value.
    """
    if env.get(variable) or not env.get(f"{variable}_SECRET"):
        return env.get(variable)
    name, package = _full_name(variable, env), _import_package(variable)
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError

    try:
        version = _client(env, package).access_secret_version(name=name, timeout=TIMEOUT_SECONDS)
        value: str = version.payload.data.decode()
        return value
    except (GoogleAPICallError, GoogleAuthError) as error:
        raise ConfigError(
            f"the secret {name} cannot be read ({type(error).__name__}): check "
            f"{variable}_SECRET, the credentials (gcloud auth application-default login) and "
            "roles/secretmanager.secretAccessor"
        ) from None


def _full_name(variable: str, env: Mapping[str, str]) -> str:
    name = env[f"{variable}_SECRET"]
    if not name.startswith("projects/"):
        if not (project := env.get("GCP_PROJECT_ID")):
            raise ConfigError(f"{variable}_SECRET is a short name: set GCP_PROJECT_ID too")
        name = f"projects/{project}/secrets/{name}"
    return name if "/versions/" in name else f"{name}/versions/latest"


def _import_package(variable: str) -> Any:
    try:
        from google.cloud import secretmanager_v1
    except ImportError:
        raise ConfigError(
            f"{variable}_SECRET needs the package google-cloud-secret-manager; in the function, "
            f"mount the secret as {variable} instead (--set-secrets)"
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

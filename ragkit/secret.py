"""A secret by the name of where it lies: Google's Secret Manager."""

import os
from collections.abc import Mapping

from ragkit.errors import ConfigError


def password(env: Mapping[str, str] = os.environ) -> str | None:
    """DB_PASS, or what DB_PASS_SECRET names (projects/P/secrets/S[/versions/V], or just S).

    SECRET_MANAGER_ENDPOINT (host:port) names another server, without TLS and credentials: for
    tests. Raises ConfigError when the secret cannot be read; its value is in no message.
    """
    if env.get("DB_PASS") or not env.get("DB_PASS_SECRET"):
        return env.get("DB_PASS")
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError

    name = _full_name(env)
    try:
        return _client(env).access_secret_version(name=name, timeout=20).payload.data.decode()
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


def _client(env: Mapping[str, str]):
    try:
        from google.cloud import secretmanager_v1 as sm
    except ImportError:
        raise ConfigError(
            "DB_PASS_SECRET needs the package google-cloud-secret-manager; in the function mount "
            "the secret as DB_PASS instead (--set-secrets)"
        ) from None
    if endpoint := env.get("SECRET_MANAGER_ENDPOINT"):
        import grpc

        transport = sm.services.secret_manager_service.transports
        channel = grpc.insecure_channel(endpoint)
        return sm.SecretManagerServiceClient(
            transport=transport.SecretManagerServiceGrpcTransport(channel=channel)
        )
    return sm.SecretManagerServiceClient()

"""Connections to Cloud SQL through Google's Python connector."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from ragkit.database.connecting import explain_refusal, find_refusal
from ragkit.database.secret_manager import read_password
from ragkit.deadline import call_within
from ragkit.errors import ConfigError, DatabaseUnavailable, RagkitError

CONNECT_SECONDS = 20.0
"""With a new certificate; the connector has no deadline of its own."""
_IP_TYPES = ("PUBLIC", "PRIVATE", "PSC")
_WRONG_SETTINGS: dict[object, str] = {
    403: "not allowed: enable sqladmin.googleapis.com and grant roles/cloudsql.client",
    404: "there is no such instance: check INSTANCE_CONNECTION_NAME",
    "ValueError": "the instance is in another region: check INSTANCE_CONNECTION_NAME",
    "CloudSQLIPTypeError": "the instance has no {ip_type} address: set IP_TYPE",
    "DefaultCredentialsError": "no Google credentials here: run gcloud auth "
    "application-default login",
    "RefreshError": "the credentials are expired: run gcloud auth application-default login",
}
"""By HTTP status or name of the error. What is not here may pass."""


def connection_factory(env: Mapping[str, str], name: str, refresh: str) -> Callable[[], Any]:
    """What SQLAlchemy's `creator` calls for each new connection of the pool.

    Settings: INSTANCE_CONNECTION_NAME, DB_USER, DB_NAME; DB_PASS or DB_PASS_SECRET, or
    DB_IAM_AUTH=true for IAM authentication; IP_TYPE (PUBLIC, PRIVATE or PSC; a Jump Start
    Solution has PSC only). SQLADMIN_ENDPOINT names another Admin API, for tests. Raises
    ConfigError at once for a setting that cannot be right.
    """
    ip_type = env.get("IP_TYPE") or "PSC"
    if ip_type not in _IP_TYPES:
        raise ConfigError(f"IP_TYPE is {ip_type!r}: expected one of {', '.join(_IP_TYPES)}")
    instance = env["INSTANCE_CONNECTION_NAME"]
    if instance.count(":") not in (2, 3):
        raise ConfigError(
            f"INSTANCE_CONNECTION_NAME is {instance!r}: expected project:region:instance"
        )
    iam = env.get("DB_IAM_AUTH", "").lower() in ("1", "true", "yes")

    @cache  # made by the first connection, after functions-framework has forked
    def connector() -> Any:
        from google.cloud.sql.connector import Connector, IPTypes

        return Connector(
            ip_type=IPTypes[ip_type], refresh_strategy=refresh, enable_iam_auth=iam,
            sqladmin_api_endpoint=env.get("SQLADMIN_ENDPOINT"),
        )  # fmt: skip

    @cache
    def password() -> str | None:
        return None if iam else read_password(env)

    def connect() -> Any:
        credentials = {} if iam else {"password": password()}
        try:
            return call_within(
                CONNECT_SECONDS, connector().connect, instance, "pg8000", user=env["DB_USER"],
                db=env["DB_NAME"], application_name=name, **credentials,
            )  # fmt: skip
        except Exception as error:  # Google's, aiohttp's, pg8000's: their texts may hold anything
            raise _explain(instance, ip_type, error) from None

    return connect


def _explain(instance: str, ip_type: str, error: Exception) -> RagkitError:
    """By the type of the error, and the HTTP or SQL state that it carries."""
    if isinstance(error, RagkitError):
        return error
    place = f"Cloud SQL instance {instance!r}"
    if refusal := find_refusal(error):
        return explain_refusal(place, refusal)
    kind = type(error).__name__
    wrong = _WRONG_SETTINGS.get(getattr(error, "status", None) or kind)
    if wrong:
        return ConfigError(f"{place} cannot be reached: {wrong.format(ip_type=ip_type)}")
    return DatabaseUnavailable(
        f"{place} cannot be reached: {kind}: check INSTANCE_CONNECTION_NAME, IP_TYPE, the network "
        "and the credentials"
    )

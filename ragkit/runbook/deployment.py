"""The deployment of a Cloud Function, from the plan and the environment."""

from collections.abc import Mapping

from ragkit.deploy.deployment import Deployment
from ragkit.errors import ConfigError
from ragkit.migration.plan import Plan

REQUIRED = ("DB_USER", "DB_NAME", "INSTANCE_CONNECTION_NAME", "SERVICE_ACCOUNT", "DB_PASS_SECRET")
PASSED_ON = (
    "DB_USER", "DB_NAME", "INSTANCE_CONNECTION_NAME", "GCP_PROJECT_ID", "GCP_LOCATION", "IP_TYPE",
)  # fmt: skip
"""Given to the function too, when they are set."""
STOCK_TABLE = "public.amenities"
"""What the function searches unless DB_TABLE says otherwise."""


def deployment_from(plan: Plan, question: str, env: Mapping[str, str]) -> Deployment:
    """The service account and the secret are the plan's, or SERVICE_ACCOUNT and DB_PASS_SECRET.

    The secret is named, never read. Raises ConfigError, which names what is missing.
    """
    app, table = plan.app, plan.table.qualified_name
    account = app.service_account or env.get("SERVICE_ACCOUNT", "")
    secret = app.db_secret or env.get("DB_PASS_SECRET", "")
    settings = {**env, "SERVICE_ACCOUNT": account, "DB_PASS_SECRET": secret}
    if missing := [name for name in REQUIRED if not settings.get(name)]:
        raise ConfigError(f"app.target: cloud needs the environment variables {', '.join(missing)}")
    environment = {name: env[name] for name in PASSED_ON if env.get(name)}
    if table != STOCK_TABLE:
        environment["DB_TABLE"] = table
    if with_comma := [name for name, value in environment.items() if "," in value]:
        raise ConfigError(f"{', '.join(with_comma)}: gcloud takes no value with a comma")
    return Deployment(
        function=app.function,
        region=env.get("GCP_LOCATION") or "us-central1",
        service_account=account,
        secret=secret.rpartition("secrets/")[2].partition("/")[0],
        environment=environment,
        allow_unauthenticated=app.allow_unauthenticated,
        canary=tuple(app.canary),
        question=question,
        apply=app.apply,
    )

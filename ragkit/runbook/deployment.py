"""The deployment of a Cloud Function, from the plan and the environment."""

from collections.abc import Mapping

from ragkit.app.cloud import Deployment
from ragkit.errors import ConfigError
from ragkit.migration.plan import Plan

NEEDED = ("DB_USER", "DB_NAME", "INSTANCE_CONNECTION_NAME", "SERVICE_ACCOUNT", "DB_PASS_SECRET")
PASSED_ON = (
    "DB_USER", "DB_NAME", "INSTANCE_CONNECTION_NAME", "GCP_PROJECT_ID", "GCP_LOCATION", "IP_TYPE",
)  # fmt: skip
"""Given to the function too, where they are set."""


def deployment(plan: Plan, env: Mapping[str, str]) -> Deployment:
    """The service account and the secret are the plan's, or SERVICE_ACCOUNT and DB_PASS_SECRET.

    The password is the secret's: none is read. Raises ConfigError naming what is missing.
    """
    account = plan.service_account or env.get("SERVICE_ACCOUNT", "")
    secret = plan.db_secret or env.get("DB_PASS_SECRET", "")
    named = {**env, "SERVICE_ACCOUNT": account, "DB_PASS_SECRET": secret}
    if missing := [name for name in NEEDED if not named.get(name)]:
        raise ConfigError(f"app: cloud needs the environment variables {', '.join(missing)}")
    settings = {name: env[name] for name in PASSED_ON if env.get(name)}
    if plan.qualified != "public.amenities":
        settings["DB_TABLE"] = plan.qualified
    if held := [name for name, value in settings.items() if "," in value]:
        raise ConfigError(f"{', '.join(held)}: a comma would end the value for gcloud")
    return Deployment(
        plan.function, env.get("GCP_LOCATION") or "us-central1", account,
        secret.rpartition("secrets/")[2].partition("/")[0], settings,
        plan.allow_unauthenticated, tuple(plan.canary), plan.smoke_question, plan.apply,
    )  # fmt: skip

"""How the app is deployed and asked, from the plan and the environment."""

from collections.abc import Mapping
from dataclasses import fields
from functools import partial

from ragkit.deploy.app import App
from ragkit.deploy.canary.limits import Limits
from ragkit.deploy.deployment import Deployment
from ragkit.deploy.own_app.asked import Recognise
from ragkit.deploy.own_app.check import Check
from ragkit.deploy.own_app.command import CommandApp, Scripts
from ragkit.deploy.own_app.confirmed import ConfirmedApp
from ragkit.deploy.own_app.manual import ManualApp
from ragkit.errors import ConfigError
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.serving.confirmation import require_confirmation, serving_model
from ragkit.migration.serving.orders import orders, settings
from ragkit.migration.swap.swap import undo_swap

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
        limits=Limits(**plan.canary.model_dump()),
        question=question,
        apply=app.apply,
    )


def own_app(migration: Migration, recognise: Recognise) -> App:
    """The app of app.target: manual, command or none. `recognise` tells its model where the plan
    says what identifies a row; else the app itself does."""
    plan = migration.plan
    if plan.app.target == "none":
        return ConfirmedApp(
            lambda: serving_model(migration),
            lambda model: require_confirmation(migration, _order(migration, model)),
        )
    check, told = check_of(plan), orders(migration)
    by_answers = recognise if check.field else None
    if plan.app.target == "manual":
        return ManualApp(plan.app.url, check, by_answers, told)
    scripts = Scripts(
        plan.app.deploy, plan.app.roll_back, settings(migration), plan.app.command_seconds,
        plan.app.stop, told,
    )  # fmt: skip
    before_way_back = partial(undo_swap, migration) if plan.app.way == "swap" else None
    return CommandApp(plan.app.url, scripts, check, by_answers, before_way_back)


def _order(migration: Migration, model: str) -> str:
    how = orders(migration).get(model)
    return f"switch the app to {model}{f' ({how})' if how else ''}"


def check_of(plan: Plan) -> Check:
    """How the app is asked."""
    return Check(**{field.name: getattr(plan.check, field.name) for field in fields(Check)})

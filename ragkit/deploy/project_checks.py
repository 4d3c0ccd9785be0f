"""What a Google Cloud project must allow before an app can be deployed and migrated."""

from collections.abc import Iterator
from dataclasses import dataclass

from ragkit.deploy import gcloud
from ragkit.errors import DeployError

SERVICES = (
    "aiplatform.googleapis.com",
    "sqladmin.googleapis.com",
    "secretmanager.googleapis.com",
    "cloudfunctions.googleapis.com",
    "run.googleapis.com",
    "cloudbuild.googleapis.com",
)
ROLES = (
    "roles/aiplatform.user",
    "roles/cloudsql.client",
    "roles/secretmanager.secretAccessor",
)


@dataclass(frozen=True)
class Check:
    """`passed` is None for information that stops nothing; `fix` is a line to run."""

    name: str
    observed: str
    passed: bool | None
    fix: str = ""


def check_project(project: str, service_account: str) -> Iterator[Check]:
    """The enabled APIs, and the service account's roles; one Check says when gcloud cannot tell."""
    try:
        services = gcloud.read("services", "list", "--enabled", f"--project={project}")
        policy = gcloud.read("projects", "get-iam-policy", project)
    except DeployError as error:
        yield Check("APIs and roles", f"not checked: {error}", None)
        return
    enabled = {service["config"]["name"] for service in services or []}
    for service in SERVICES:
        enable = gcloud.shell_line(["services", "enable", service, f"--project={project}"])
        yield _check(f"API {service}", service in enabled, "enabled", enable)
    member = f"serviceAccount:{service_account}"
    granted = {
        binding["role"] for binding in (policy or {}).get("bindings", [])
        if member in binding.get("members", [])
    }  # fmt: skip
    for role in ROLES:
        grant = gcloud.shell_line(
            ["projects", "add-iam-policy-binding", project, f"--member={member}", f"--role={role}"]
        )
        yield _check(f"{role} of the function's account", role in granted, "granted", grant)


def _check(name: str, passed: bool, word: str, fix: str) -> Check:
    return Check(name, word if passed else f"not {word}", passed, "" if passed else fix)

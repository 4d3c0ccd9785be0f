"""What a project must allow before an app can be deployed and migrated, as gcloud sees it."""

from collections.abc import Iterator
from dataclasses import dataclass

from ragkit.app import gcloud
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
    """`passed` is None for what is worth knowing and stops nothing; `way_out` is a line to run."""

    name: str
    found: str
    passed: bool | None
    way_out: str = ""


def checks(project: str, service_account: str) -> Iterator[Check]:
    """The enabled APIs and the service account's roles. One Check says so when gcloud cannot."""
    try:
        enabled = gcloud.read("services", "list", "--enabled", f"--project={project}")
        policy = gcloud.read("projects", "get-iam-policy", project)
    except DeployError as error:
        yield Check("APIs and roles", f"not looked at: {error}", None)
        return
    names = {service["config"]["name"] for service in enabled or []}
    for service in SERVICES:
        enable = gcloud.shell(["services", "enable", service, f"--project={project}"])
        yield _check(f"API {service}", service in names, "enabled", enable)
    member = f"serviceAccount:{service_account}"
    held = {
        binding["role"] for binding in (policy or {}).get("bindings", [])
        if member in binding.get("members", [])
    }  # fmt: skip
    for role in ROLES:
        grant = gcloud.shell(
            ["projects", "add-iam-policy-binding", project, f"--member={member}", f"--role={role}"]
        )
        yield _check(f"{role} of the function's account", role in held, "granted", grant)


def _check(name: str, passed: bool, word: str, way_out: str) -> Check:
    return Check(name, word if passed else f"not {word}", passed, "" if passed else way_out)

"""What a Cloud Function is deployed with, and the gcloud commands that deploy it.

Sources: gcloud reference, "functions deploy" and "run services update-traffic".
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ragkit.deploy.canary.limits import Limits

TAG, OLD_TAG = "candidate", "serving"
"""Give the new revision and the one that serves an address of its own."""

Command = tuple[str, ...]
"""The arguments of one gcloud command."""


@dataclass(frozen=True)
class Deployment:
    """`environment` is without EMBEDDING_MODEL; `secret` names the Secret Manager's secret behind
    DB_PASS, and `keys` those behind the variables with the models' keys; `canary` are the shares of
    traffic, in percent, that a new revision gets before all of it, within `limits`; `question` is
    asked after the last step. Without `apply` nothing is changed. `requirements` and `facts` are
    what the models need in the function's source; a deployment is refused while something is
    `missing`."""

    function: str
    region: str
    service_account: str
    secret: str
    environment: dict[str, str] = field(default_factory=dict)
    allow_unauthenticated: bool = False
    canary: tuple[int, ...] = (5, 50)
    limits: Limits = field(default_factory=Limits)
    question: str = ""
    apply: bool = False
    requirements: tuple[str, ...] = ()
    keys: dict[str, str] = field(default_factory=dict)
    facts: str = ""
    missing: tuple[str, ...] = ()

    def describe(self) -> Command:
        return ("run", "services", "describe", *self._service)

    def list_revisions(self) -> Command:
        return (
            "run", "revisions", "list", f"--service={self.function}", f"--region={self.region}",
        )  # fmt: skip

    def deploy(self, model: str, source: Path) -> Command:
        """Access is left alone unless it is to be public, and so are the variables that are not in
        `environment`: --set-env-vars, as in the solution's guide, would remove them."""
        values = {**self.environment, "EMBEDDING_MODEL": model}
        pairs = ",".join(f"{name}={value}" for name, value in sorted(values.items()))
        named = {"DB_PASS": self.secret, **self.keys}
        secrets = ",".join(f"{variable}={secret}:latest" for variable, secret in named.items())
        return (
            "functions", "deploy", self.function, "--gen2", f"--region={self.region}",
            "--runtime=python312", f"--source={source}", "--entry-point=hello_http",
            "--trigger-http", f"--service-account={self.service_account}",
            f"--update-env-vars={pairs}", f"--update-secrets={secrets}",
            *(["--allow-unauthenticated"] if self.allow_unauthenticated else []),
        )  # fmt: skip

    def move_traffic(self, shares: dict[str, int]) -> Command:
        """`shares`: percent by revision."""
        split = ",".join(f"{name}={share}" for name, share in shares.items())
        return (*self._update_traffic, f"--to-revisions={split}")

    def tag(self, revision: str, serving: str | None) -> Command:
        old = f",{OLD_TAG}={serving}" if serving else ""
        return (*self._update_traffic, f"--update-tags={TAG}={revision}{old}")

    def remove_tags(self, tags: Sequence[str]) -> Command:
        return (*self._update_traffic, f"--remove-tags={','.join(tags)}")

    def cut_over(self, model: str, canary: Sequence[int]) -> list[Command]:
        """A whole cut-over in order, with these shares in percent; OLD and NEW stand for
        revisions."""
        steps = [{"NEW": share, "OLD": 100 - share} for share in canary]
        return [
            self.move_traffic({"OLD": 100}),
            self.deploy(model, Path("function")),
            self.list_revisions(),
            self.tag("NEW", "OLD"),
            *map(self.move_traffic, [*steps, {"NEW": 100}]),
        ]

    @property
    def _service(self) -> Command:
        return (self.function, f"--region={self.region}")

    @property
    def _update_traffic(self) -> Command:
        return ("run", "services", "update-traffic", *self._service)

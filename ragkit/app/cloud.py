"""A Cloud Function (2nd gen) as an App: revisions and traffic of its Cloud Run service.

A deployment takes all traffic unless the traffic is pinned to a revision before it. Sources:
gcloud reference, "functions deploy" and "run services update-traffic"; Cloud Run functions,
"Traffic splitting".
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from ragkit.app import Revision, gcloud
from ragkit.app.vendor import build
from ragkit.errors import DeployError

TAG = "candidate"
CHECKS = 10
"""Questions to the app after each step of a canary."""


@dataclass(frozen=True)
class Deployment:
    """What `gcloud functions deploy` is told. `environment` is without EMBEDDING_MODEL; `secret`
    names the Secret Manager's secret behind DB_PASS; `canary` are the shares of traffic, in
    percent, that a new revision gets before all of it."""

    function: str
    region: str
    service_account: str
    secret: str
    environment: dict[str, str] = field(default_factory=dict)
    allow_unauthenticated: bool = False
    canary: tuple[int, ...] = (5, 50)
    question: str = "restaurants"
    apply: bool = False


class CloudApp:
    """An App (see ragkit.app). Without `apply` it looks, and changes nothing."""

    def __init__(self, deployment: Deployment):
        self._to = deployment
        self._service = (deployment.function, f"--region={deployment.region}")

    @property
    def url(self) -> str:
        return (self._described() or {}).get("url", "")

    def serving(self) -> Revision | None:
        traffic = (self._described() or {}).get("traffic", [])
        name = max(traffic, key=lambda t: t.get("percent", 0), default={}).get("revisionName")
        return next((found for found in self.revisions() if found.name == name), None)

    def revisions(self) -> list[Revision]:
        service = (f"--service={self._to.function}", f"--region={self._to.region}")
        found = gcloud.read("run", "revisions", "list", *service) or []
        found.sort(key=lambda r: r["metadata"]["creationTimestamp"])
        return [Revision(r["metadata"]["name"], _model(r)) for r in found]

    def commands(self, model: str) -> list[str]:
        """What a cut-over to `model` runs, in order, as shell lines; OLD and NEW are revisions."""
        shares = [{"NEW": share, "OLD": 100 - share} for share in self._to.canary]
        steps = [
            self._traffic({"OLD": 100}),
            self._deploy(model, Path("function")),
            ("run", "revisions", "list", f"--service={self._to.function}",
             f"--region={self._to.region}"),
            self._tag("NEW"),
            *map(self._traffic, [*shares, {"NEW": 100}]),
        ]  # fmt: skip
        return ["python -m ragkit vendor", *map(gcloud.shell, steps)]

    def stage(self, model: str) -> Revision:
        """Pins the traffic to what serves, deploys beside it, and tags the new revision."""
        self._require_apply(model)
        known, serving = {r.name for r in self.revisions()}, self.serving()
        if serving:
            gcloud.run(*self._traffic({serving.name: 100}))
        with tempfile.TemporaryDirectory() as folder:
            gcloud.run(*self._deploy(model, build(Path(folder) / "function")))
        fresh = [r for r in self.revisions() if r.name not in known and r.model == model]
        if not fresh:
            raise DeployError(f"the deployment made no revision of {self._to.function} for {model}")
        self.start(fresh[-1])
        return fresh[-1]

    def start(self, revision: Revision) -> None:
        self._require_apply(revision.model)
        gcloud.run(*self._tag(revision.name))

    def promote(self, revision: Revision) -> None:
        """A new revision gets its traffic in steps, with questions asked after each; an older
        one, which is the way back, gets all of it at once."""
        serving = self.serving()
        if serving is None or serving == revision:
            gcloud.run(*self._traffic({revision.name: 100}))
            return
        order = [found.name for found in self.revisions()]
        back = order.index(revision.name) < order.index(serving.name)
        try:
            for share in () if back else self._to.canary:
                gcloud.run(*self._traffic({revision.name: share, serving.name: 100 - share}))
                self._check({revision.model, serving.model})
            gcloud.run(*self._traffic({revision.name: 100}))
            self._check({revision.model, serving.model})  # traffic does not move at once
        except DeployError as error:
            gcloud.run(*self._traffic({serving.name: 100}))
            raise DeployError(f"{error}; all traffic is on {serving.name} again") from None

    def discard(self, revision: Revision) -> None:
        if self._to.apply:
            gcloud.run("run", "services", "update-traffic", *self._service, f"--remove-tags={TAG}")

    def release(self) -> None:
        """The next deployment serves again as it is made: the traffic is no longer pinned."""
        traffic = (self._described() or {}).get("traffic", [])
        pinned = not any(t.get("latestRevision") and t.get("percent") == 100 for t in traffic)
        if self._to.apply and pinned and (serving := self.serving()):
            with tempfile.TemporaryDirectory() as folder:
                deploy = self._deploy(serving.model, build(Path(folder) / "function"))
                gcloud.run(*deploy, "--serve-all-traffic-latest-revision")

    def client(self, revision: Revision | None = None) -> httpx.Client:
        """With an identity token, which a function that is not public asks for."""
        found = self._described() or {}
        tagged = (t["url"] for t in found.get("traffic", []) if t.get("tag") == TAG)
        url = next(tagged, None) if revision else found.get("url")
        if not url:
            raise DeployError(f"{revision or self._to.function} has no address yet")
        return httpx.Client(base_url=url, timeout=70, headers=dict(_authorization()))

    def _described(self) -> dict | None:
        """The service's status: url, and traffic by revision."""
        found = gcloud.read("run", "services", "describe", *self._service)
        return found and found["status"]

    def _check(self, models: set[str]) -> None:
        with self.client() as client:
            for _ in range(CHECKS):
                try:
                    answer = client.post("/", json={"name": self._to.question})
                    good = answer.status_code == httpx.codes.OK and answer.json()["results"]
                except (httpx.HTTPError, ValueError, KeyError) as error:
                    raise DeployError(f"the app does not answer: {type(error).__name__}") from None
                if not good or answer.headers.get("X-Embedding-Model") not in models:
                    raise DeployError(f"the app answered {answer.status_code} during the canary")

    def _require_apply(self, model: str) -> None:
        if not self._to.apply:
            raise DeployError(
                f"this was a dry run: set apply: true to deploy {model}, or run the commands above "
                f"by hand and then this step again; it goes on when the app serves {model}"
            )

    def _traffic(self, shares: dict[str, int]) -> tuple[str, ...]:
        split = ",".join(f"{name}={share}" for name, share in shares.items())
        return ("run", "services", "update-traffic", *self._service, f"--to-revisions={split}")

    def _tag(self, name: str) -> tuple[str, ...]:
        return ("run", "services", "update-traffic", *self._service, f"--update-tags={TAG}={name}")

    def _deploy(self, model: str, source: Path) -> tuple[str, ...]:
        """As the mission's document has it. Access is not touched unless it is to be public."""
        values = {**self._to.environment, "EMBEDDING_MODEL": model}
        pairs = ",".join(f"{name}={value}" for name, value in sorted(values.items()))
        return (
            "functions", "deploy", self._to.function, "--gen2", f"--region={self._to.region}",
            "--runtime=python312", f"--source={source}", "--entry-point=hello_http",
            "--trigger-http", f"--service-account={self._to.service_account}",
            f"--set-env-vars={pairs}", f"--set-secrets=DB_PASS={self._to.secret}:latest",
            *(["--allow-unauthenticated"] if self._to.allow_unauthenticated else []),
        )  # fmt: skip


def _model(revision: dict) -> str:
    variables = revision["spec"]["containers"][0].get("env", [])
    return next((v.get("value", "") for v in variables if v["name"] == "EMBEDDING_MODEL"), "")


def _authorization() -> Iterator[tuple[str, str]]:
    try:
        yield "Authorization", f"Bearer {gcloud.run('auth', 'print-identity-token').strip()}"
    except DeployError:
        return  # a public function needs none; another one will answer 403

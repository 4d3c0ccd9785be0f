"""A Cloud Function (2nd gen) as an App: revisions and traffic of its Cloud Run service.

A deployment takes all traffic unless the traffic was pinned to a revision before. Source: Cloud
Run functions, "Traffic splitting".
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from ragkit.deploy import gcloud
from ragkit.deploy.app import Revision
from ragkit.deploy.by_revision import RevisionedApp
from ragkit.deploy.deployment import TAG, Deployment
from ragkit.deploy.vendor import build_source
from ragkit.errors import DeployError

CHECKS = 10
"""Questions to the app after each step of a canary."""
LOOKS = 3
"""Questions that an app must all fail, to be taken for down."""


class CloudApp(RevisionedApp):
    """An App. Without `apply` in its deployment it only reads."""

    def __init__(self, deployment: Deployment):
        self._deployment = deployment

    @property
    def url(self) -> str:
        url: str = self._service_status().get("url", "")
        return url

    def serving(self) -> Revision | None:
        traffic = self._service_status().get("traffic", [])
        largest: dict[str, Any] = max(traffic, key=lambda t: t.get("percent", 0), default={})
        name = largest.get("revisionName")
        return next((revision for revision in self.revisions() if revision.name == name), None)

    def revisions(self) -> list[Revision]:
        resources = gcloud.read(*self._deployment.list_revisions()) or []
        resources.sort(key=lambda r: r["metadata"]["creationTimestamp"])
        return [Revision(r["metadata"]["name"], _embedding_model(r)) for r in resources]

    def commands(self, model: str) -> list[str]:
        """OLD and NEW stand for revisions."""
        lines = self._deployment.cut_over(model, self._canary())
        return ["python -m ragkit vendor", *map(gcloud.shell_line, lines)]

    def stage(self, model: str) -> Revision:
        """Pins the traffic to what serves, deploys beside it, and tags the new revision."""
        self._require_apply(model)
        known, serving = {r.name for r in self.revisions()}, self.serving()
        if serving:
            gcloud.run(*self._deployment.move_traffic({serving.name: 100}))
        self._deploy(model)
        fresh = [r for r in self.revisions() if r.name not in known and r.model == model]
        if not fresh:
            raise DeployError(
                f"the deployment made no revision of {self._deployment.function} for {model}"
            )
        self.start(fresh[-1])
        return fresh[-1]

    def start(self, revision: Revision) -> None:
        self._require_apply(revision.model)
        gcloud.run(*self._deployment.tag(revision.name))

    def promote(self, revision: Revision) -> None:
        """A new revision gets its traffic in steps, with questions after each; an older one,
        which is the way back, gets all of it at once, and so does one beside which nothing
        answers."""
        serving, deployment = self.serving(), self._deployment
        if serving is None or serving == revision:
            gcloud.run(*deployment.move_traffic({revision.name: 100}))
            return
        order = [known.name for known in self.revisions()]
        is_older = order.index(revision.name) < order.index(serving.name)
        try:
            for share in () if is_older else self._canary():
                split = {revision.name: share, serving.name: 100 - share}
                gcloud.run(*deployment.move_traffic(split))
                self._check_answers(revision.model)
            gcloud.run(*deployment.move_traffic({revision.name: 100}))
            self._check_answers(revision.model)  # traffic does not move at once
        except DeployError as error:
            gcloud.run(*deployment.move_traffic({serving.name: 100}))
            raise DeployError(f"{error}; all traffic is on {serving.name} again") from None

    def discard(self, revision: Revision) -> None:
        if self._deployment.apply:
            gcloud.run(*self._deployment.remove_tag())

    def release(self) -> None:
        """Unpins the traffic: the next deployment serves as soon as it is made."""
        traffic = self._service_status().get("traffic", [])
        pinned = not any(t.get("latestRevision") and t.get("percent") == 100 for t in traffic)
        if self._deployment.apply and pinned and (serving := self.serving()):
            self._deploy(serving.model, "--serve-all-traffic-latest-revision")

    def client(self, revision: Revision | None = None) -> httpx.Client:
        """With an identity token, which a function that is not public requires."""
        status = self._service_status()
        tagged = (t["url"] for t in status.get("traffic", []) if t.get("tag") == TAG)
        url = next(tagged, None) if revision else status.get("url")
        if not url:
            raise DeployError(f"{revision or self._deployment.function} has no address yet")
        return httpx.Client(base_url=url, timeout=70, headers=dict(_authorization()))

    def _service_status(self) -> dict[str, Any]:
        """The service's url, and its traffic by revision; {} before the first deployment."""
        service = gcloud.read(*self._deployment.describe())
        return service["status"] if service else {}

    def _deploy(self, model: str, *flags: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            source = build_source(Path(folder) / "function")
            gcloud.run(*self._deployment.deploy(model, source), *flags)

    def _canary(self) -> Sequence[int]:
        """Shares in percent; none while the app is down: they would keep the rest of it down."""
        try:
            with self.client() as client:
                is_up = any(self._is_up(client) for _ in range(LOOKS))
        except DeployError:  # no address yet, or nobody here who may ask for it
            is_up = True
        return self._deployment.canary if is_up else ()

    def _is_up(self, client: httpx.Client) -> bool:
        """A caller who may not ask (403) cannot tell that it is down."""
        try:
            return self._ask(client).status_code < httpx.codes.INTERNAL_SERVER_ERROR
        except DeployError:
            return False

    def _ask(self, client: httpx.Client) -> httpx.Response:
        try:
            return client.post("/", json={"name": self._deployment.question})
        except httpx.HTTPError as error:
            raise DeployError(f"the app does not answer: {type(error).__name__}") from None

    def _check_answers(self, model: str) -> None:
        """Judges the answers of `model`; those of the revision that goes are not its fault."""
        with self.client() as client:
            for _ in range(CHECKS):
                answer = self._ask(client)
                is_judged = answer.headers.get("X-Embedding-Model", "") in ("", model)
                if is_judged and not _is_answer(answer):
                    raise DeployError(f"the app answered {answer.status_code} during the canary")

    def _require_apply(self, model: str) -> None:
        if not self._deployment.apply:
            raise DeployError(
                f"this was a dry run: set app.apply: true to deploy {model}, or run the commands "
                f"above by hand and then this step again; it continues once the app serves {model}"
            )


def _is_answer(answer: httpx.Response) -> bool:
    try:
        return answer.status_code == httpx.codes.OK and bool(answer.json()["results"])
    except (ValueError, KeyError, TypeError):
        return False


def _embedding_model(revision: dict[str, Any]) -> str:
    variables = revision["spec"]["containers"][0].get("env", [])
    return next((v.get("value", "") for v in variables if v["name"] == "EMBEDDING_MODEL"), "")


def _authorization() -> Iterator[tuple[str, str]]:
    try:
        yield "Authorization", f"Bearer {gcloud.run('auth', 'print-identity-token').strip()}"
    except DeployError:
        return  # a public function needs none; another one answers 403

"""A Cloud Function (2nd gen) as an App: revisions and traffic of its Cloud Run service.

A deployment takes all traffic unless the traffic was pinned to a revision before. Source: Cloud
Run functions, "Traffic splitting".
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from ragkit.deploy import gcloud
from ragkit.deploy.app import Revision
from ragkit.deploy.by_revision import RevisionedApp
from ragkit.deploy.canary.needed import describe
from ragkit.deploy.canary.own_questions import OwnQuestions
from ragkit.deploy.canary.public_address import check_answers, is_up
from ragkit.deploy.canary.request_log import RequestLog
from ragkit.deploy.canary.steps import Canary, Report
from ragkit.deploy.deployment import OLD_TAG, TAG, Deployment
from ragkit.deploy.vendor import MODEL_FACTS, build_source
from ragkit.errors import DeployError


class CloudApp(RevisionedApp):
    """An App. Without `apply` in its deployment it only reads. `questions` are asked by a canary,
    where there are none the deployment's one; each of its looks is told to `report`."""

    def __init__(
        self,
        deployment: Deployment,
        questions: Callable[[], Sequence[str]] = lambda: (),
        report: Report = lambda look: None,
    ):
        self._deployment, self._questions, self._report = deployment, questions, report

    @property
    def url(self) -> str:
        url: str = self._service_status().get("url", "")
        return url

    def serving(self) -> Revision | None:
        """Of a canary that was killed, the old revision, whatever its share is."""
        shares, tried = self._shares()
        settled = [name for name in shares if name not in tried] or list(shares)
        name = max(settled, key=lambda name: shares[name], default="")
        return next((revision for revision in self.revisions() if revision.name == name), None)

    def is_split(self) -> bool:
        shares, tried = self._shares()
        return len(shares) > 1 and any(name in tried for name in shares)

    def revisions(self) -> list[Revision]:
        resources = gcloud.read(*self._deployment.list_revisions()) or []
        resources.sort(key=lambda r: r["metadata"]["creationTimestamp"])
        return [Revision(r["metadata"]["name"], _embedding_model(r)) for r in resources]

    def commands(self, model: str) -> list[str]:
        """OLD and NEW stand for revisions. The last lines say what the canary will take."""
        deployment, shares = self._deployment, self._canary()
        lines = map(gcloud.shell_line, deployment.cut_over(model, shares))
        notes = (f"# {text}" for text in describe(deployment.limits, shares))
        vendor = "python -m ragkit vendor"
        if deployment.requirements:
            more = " ".join(deployment.requirements)
            vendor += f"  # then add to function/requirements.txt: {more}"
        if deployment.facts:
            vendor += f"  # and write function/{MODEL_FACTS}: {deployment.facts}"
        return [vendor, *lines, *notes]

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
        serving = self.serving()
        old = serving.name if serving and serving != revision else None
        gcloud.run(*self._deployment.tag(revision.name, old))

    def promote(self, revision: Revision) -> None:
        """A new revision gets its traffic in steps, by the tests of a canary; an older one, which
        is the way back, gets all of it at once, and so does one beside which nothing answers."""
        serving, deployment = self.serving(), self._deployment
        if serving is None or serving == revision:
            gcloud.run(*deployment.move_traffic({revision.name: 100}))
            return
        order = [known.name for known in self.revisions()]
        is_older = order.index(revision.name) < order.index(serving.name)
        try:
            if shares := () if is_older else self._canary():
                self._try_out(serving, revision, shares)
            gcloud.run(*deployment.move_traffic({revision.name: 100}))
            with self.client() as client:
                check_answers(client, deployment.question, revision.model)
        except DeployError as error:
            gcloud.run(*deployment.move_traffic({serving.name: 100}))
            raise DeployError(f"{error}; all traffic is on {serving.name} again") from None

    def discard(self, revision: Revision) -> None:
        traffic = self._service_status().get("traffic", [])
        tags = [t["tag"] for t in traffic if t.get("tag") in (TAG, OLD_TAG)]
        if self._deployment.apply and tags:
            gcloud.run(*self._deployment.remove_tags(tags))

    def release(self) -> None:
        """Unpins the traffic: the next deployment serves as soon as it is made."""
        traffic = self._service_status().get("traffic", [])
        pinned = not any(t.get("latestRevision") and t.get("percent") == 100 for t in traffic)
        if self._deployment.apply and pinned and (serving := self.serving()):
            self._deploy(serving.model, "--serve-all-traffic-latest-revision")

    def client(self, revision: Revision | None = None) -> httpx.Client:
        """With an identity token, which a function that is not public requires."""
        status, url = self._service_status(), None
        if revision is None:
            url = status.get("url")
        for entry in status.get("traffic", []):
            if revision and entry.get("tag") and entry.get("revisionName") == revision.name:
                url = entry["url"]
        if not url:
            raise DeployError(f"{revision or self._deployment.function} has no address yet")
        return httpx.Client(base_url=url, timeout=70, headers=dict(_authorization()))

    def _service_status(self) -> dict[str, Any]:
        """The service's url, and its traffic by revision; {} before the first deployment."""
        service = gcloud.read(*self._deployment.describe())
        return service["status"] if service else {}

    def _shares(self) -> tuple[dict[str, int], set[str]]:
        """In percent, by revision; and the revisions that are, or were, tried out."""
        traffic = self._service_status().get("traffic", [])
        shares = {t["revisionName"]: t["percent"] for t in traffic if t.get("percent")}
        return shares, {t["revisionName"] for t in traffic if t.get("tag") == TAG}

    def _deploy(self, model: str, *flags: str) -> None:
        if self._deployment.missing:
            raise DeployError("; ".join(self._deployment.missing))
        with tempfile.TemporaryDirectory() as folder:
            needs = self._deployment
            source = build_source(Path(folder) / "function", needs.requirements, needs.facts)
            gcloud.run(*self._deployment.deploy(model, source), *flags)

    def _try_out(self, old: Revision, new: Revision, shares: Sequence[int]) -> None:
        """Raises DeployError when the new revision is worse than the old one."""
        deployment = self._deployment
        own = OwnQuestions(
            list(self._questions()) or [deployment.question],
            lambda: (self.client(old), self.client(new)),
        )
        log = RequestLog(deployment.function, old, new)
        canary = Canary(deployment.limits, len(shares), log, own, self._report)
        with closing(own):
            for share in shares:
                split = {new.name: share, old.name: 100 - share}
                gcloud.run(*deployment.move_traffic(split))
                canary.watch(share)

    def _canary(self) -> tuple[int, ...]:
        """Shares in percent; none while the app is down: they would keep the rest of it down."""
        try:
            with self.client() as client:
                needs_canary = is_up(client, self._deployment.question)
        except DeployError:  # no address yet, or nobody here who may ask for it
            needs_canary = True
        return self._deployment.canary if needs_canary else ()

    def _require_apply(self, model: str) -> None:
        if not self._deployment.apply:
            raise DeployError(
                f"this was a dry run: set app.apply: true to deploy {model}, or run the commands "
                f"above by hand and then this step again; it continues once the app serves {model}"
            )


def _embedding_model(revision: dict[str, Any]) -> str:
    variables = revision["spec"]["containers"][0].get("env", [])
    return next((v.get("value", "") for v in variables if v["name"] == "EMBEDDING_MODEL"), "")


def _authorization() -> Iterator[tuple[str, str]]:
    try:
        yield "Authorization", f"Bearer {gcloud.run('auth', 'print-identity-token').strip()}"
    except DeployError:
        return  # a public function needs none; another one answers 403

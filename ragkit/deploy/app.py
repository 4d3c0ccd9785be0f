"""What a deployment target must be able to do, wherever the app runs."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Revision:
    """One immutable build of the app, with the model it was given."""

    name: str
    model: str

    def __str__(self) -> str:
        return f"{self.name}, {self.model}"


Test = Callable[[Revision | None], str]
"""Tests a revision that has no traffic yet, or with None the app at its public address; returns
the answer, and raises DeployError."""


class App(Protocol):
    """The app as the runbook sees it. Every method may raise DeployError or ConfigError."""

    @property
    def url(self) -> str:
        """The app's public address; "" when it has none yet."""
        ...

    def serving(self) -> Revision | None:
        """What has the traffic; None when nothing answers. Raises AppNotRecognised when something
        does, and it does not tell its model."""
        ...

    def is_split(self) -> bool:
        """Whether a canary was left in the middle, so that what serves has not all traffic."""
        ...

    def smoke_test(
        self,
        question: str,
        model: str,
        fields: Collection[str] = (),
        revision: Revision | None = None,
    ) -> str:
        """The answer to one question, as the app sent it, of a started revision or of the app's
        public address. Raises DeployError unless `model` serves there and answers rows that have
        `fields`."""
        ...

    def fields(self, answer: str) -> set[str]:
        """The fields of the rows in an answer."""
        ...

    def switch(self, model: str, test: Test, *, reuse: bool) -> tuple[Revision, str]:
        """Gives the traffic to `model`: what serves now, and its answer to `test`.

        `reuse`: this is the way back; a kept revision of the model is started again instead of
        building one. After a DeployError the previous revision still serves, as far as the app
        was deployed from here.
        """
        ...

    def stop(self, model: str) -> bool:
        """Stops the app before `model` is deployed, where the plan says how. Whether it is known
        to be down: then no old process is left."""
        ...

    def commands(self, model: str) -> list[str]:
        """What a cut-over to `model` runs, as shell lines; [] when it runs none."""
        ...

    def curl(self, question: str) -> str:
        """The line that a person would type to ask the same."""
        ...

    def release(self) -> None:
        """After the migration: the next deployment takes the traffic as it did before."""
        ...

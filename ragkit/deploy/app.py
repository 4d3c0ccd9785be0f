"""What a deployment target must be able to do, wherever the app runs.

The words are Cloud Run's: a revision is built once, started without traffic, tried at its own
address, given all traffic, and kept. The way back is the same revision again.
"""

from dataclasses import dataclass
from typing import Protocol

import httpx


@dataclass(frozen=True)
class Revision:
    """One immutable build of the app, with the model it was given."""

    name: str
    model: str

    def __str__(self) -> str:
        return f"{self.name}, {self.model}"


class App(Protocol):
    """The app as the runbook sees it. Every method may raise DeployError."""

    @property
    def url(self) -> str:
        """The app's public address; "" when it has none yet."""
        ...

    def serving(self) -> Revision | None:
        """The revision that has the traffic."""
        ...

    def revisions(self) -> list[Revision]:
        """All kept revisions, oldest first."""
        ...

    def stage(self, model: str) -> Revision:
        """Builds a revision and starts it without traffic."""
        ...

    def start(self, revision: Revision) -> None:
        """Starts a kept revision without traffic."""
        ...

    def promote(self, revision: Revision) -> None:
        """Gives a revision all traffic without losing a request. After a DeployError the
        previous revision still serves."""
        ...

    def discard(self, revision: Revision) -> None:
        """Stops a revision that has no traffic."""
        ...

    def commands(self, model: str) -> list[str]:
        """What a cut-over to `model` runs, as shell lines; [] when it runs none."""
        ...

    def release(self) -> None:
        """After the migration: the next deployment takes the traffic as it did before."""
        ...

    def client(self, revision: Revision | None = None) -> httpx.Client:
        """HTTP to a started revision at its own address, or to the app's public one."""
        ...

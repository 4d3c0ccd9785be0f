"""Revisions of the app: what a deployment target must be able to do, wherever it runs.

The words are Cloud Run's: a revision is built once, started without traffic, tried by its own
address, given all traffic, and kept, so that the way back is the same revision again.
"""

from dataclasses import dataclass
from typing import Protocol

import httpx


@dataclass(frozen=True)
class Revision:
    """One immutable build of the app with the model it was given."""

    name: str
    model: str

    def __str__(self) -> str:
        return f"{self.name}, {self.model}"


class App(Protocol):
    url: str

    def serving(self) -> Revision | None:
        """The revision that has the traffic."""

    def revisions(self) -> list[Revision]:
        """All that were ever built, oldest first."""

    def stage(self, model: str) -> Revision:
        """Builds and starts a revision without traffic. Raises DeployError."""

    def start(self, revision: Revision) -> None:
        """Starts a kept revision without traffic. Raises DeployError."""

    def promote(self, revision: Revision) -> None:
        """Gives it all traffic without losing a request. Raises DeployError; then the one
        before still serves."""

    def discard(self, revision: Revision) -> None:
        """Stops a revision that has no traffic."""

    def commands(self, model: str) -> list[str]:
        """What a cut-over to `model` runs, as shell lines; [] where nothing is run outside."""

    def release(self) -> None:
        """After the migration: the next deployment takes the traffic as it did before."""

    def client(self, revision: Revision | None = None) -> httpx.Client:
        """HTTP to a started revision by its own address, or to the app's public one."""

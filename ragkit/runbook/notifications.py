"""A JSON POST when a step has ended: its outcome, the phase, the verdict.

A webhook that fails or hangs costs a line of the log, and no more than WAIT_SECONDS.
"""

import functools
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx

from ragkit import __version__
from ragkit.deadline import call_within
from ragkit.errors import ConfigError, RagkitError
from ragkit.migration.plan import Plan
from ragkit.migration.verdict import read_verdict
from ragkit.runbook.runbook import Runbook

WAIT_SECONDS = 3.0
OF_ENV = "env"
VARIABLE = "NOTIFY_URL"
log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
Step = Callable[Concatenate[Runbook, P], T]


def notified(step: str) -> Callable[[Step[P, T]], Step[P, T]]:
    """Of a function of a Runbook: tells how it ended."""

    def decorate(function: Step[P, T]) -> Step[P, T]:
        @functools.wraps(function)
        def call(runbook: Runbook, /, *args: P.args, **kwargs: P.kwargs) -> T:
            with notifying(runbook, step):
                return function(runbook, *args, **kwargs)

        return call

    return decorate


@contextmanager
def notifying(runbook: Runbook, step: str) -> Iterator[None]:
    """Tells how the block ended. Raises ConfigError before it, without NOTIFY_URL where the plan
    takes it."""
    url = address(runbook.plan, os.environ)
    try:
        yield
    except Exception as error:
        known = isinstance(error, RagkitError)  # another one may quote anything
        notify(url, message(runbook, step, str(error) if known else type(error).__name__))
        raise
    notify(url, message(runbook, step))


def address(plan: Plan, env: Mapping[str, str]) -> str:
    """ "" where nobody is told. Raises ConfigError."""
    if plan.notify.url != OF_ENV:
        return plan.notify.url
    if not (url := env.get(VARIABLE, "").strip()):
        raise ConfigError(f"notify.url is {OF_ENV}: set {VARIABLE} to the address")
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"{VARIABLE} is no address: expected http(s)://…")
    return url


def message(runbook: Runbook, step: str, failure: str = "") -> dict[str, Any]:
    """What is sent: no text of a row, and no secret."""
    told: dict[str, Any] = {
        "ragkit": __version__,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "table": runbook.plan.name,
        "migration": runbook.plan.migration_id,
        "step": step,
        "outcome": "failed" if failure else "done",
        "failure": failure or None,
        "phase": None,
        "verdict": None,
    }
    with suppress(RagkitError):
        told["phase"] = runbook.migration.phase()
        if verdict := read_verdict(runbook.migration):
            told["verdict"] = verdict.verdict
    return told


def notify(url: str, told: Mapping[str, Any]) -> None:
    """Does nothing without an address."""
    if not url:
        return
    try:
        answer = call_within(
            WAIT_SECONDS, httpx.post, url, json=told, timeout=WAIT_SECONDS, follow_redirects=False
        )
    except Exception as error:  # its text may hold the address
        log.warning("the notification was not sent (%s)", type(error).__name__)
        return
    if not answer.is_success:
        log.warning("the notification was answered with status %d", answer.status_code)

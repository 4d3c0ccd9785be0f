"""Every policy retries its own error only, and stops at its deadline."""

import threading
import time

import pytest

from ragkit import retry
from ragkit.errors import (
    DatabaseError,
    DatabaseUnavailable,
    ModelBusy,
    ModelUnavailable,
    SandboxError,
)
from ragkit.retry import (
    asked_to_wait,
    busy_model,
    database_until_stopped,
    retry_database,
    server_start,
    table_lock,
)

DEADLINE_SECONDS = 0.5


class LockedError(Exception):
    """A statement that a lock stops."""


def is_locked(error):
    return isinstance(error, LockedError)


POLICIES = {
    "database": (retry_database, DatabaseUnavailable, DatabaseError),
    "follower": (database_until_stopped(threading.Event()), DatabaseUnavailable, DatabaseError),
    "model": (busy_model(30), ModelBusy, ModelUnavailable),
    "service": (asked_to_wait(30), ModelBusy, ModelUnavailable),
    "lock": (table_lock(is_locked, 30), LockedError, DatabaseError),
    "server": (server_start(), SandboxError, DatabaseError),
}


class FailingCall:
    """Raises `error` in its first `failures` calls, and counts the calls."""

    def __init__(self, error, failures=10**6):
        self.error, self.failures, self.calls = error, failures, 0

    def __call__(self, *arguments):
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return arguments


@pytest.mark.parametrize(("policy", "retried", "_"), POLICIES.values(), ids=POLICIES)
def test_a_temporary_error_is_retried_until_the_call_succeeds(policy, retried, _):
    call = FailingCall(retried("temporary"), failures=1)
    assert policy(call, "argument") == ("argument",)
    assert call.calls == 2


@pytest.mark.parametrize(("policy", "_", "permanent"), POLICIES.values(), ids=POLICIES)
def test_another_error_is_raised_at_once(policy, _, permanent):
    call = FailingCall(permanent("permanent"))
    with pytest.raises(permanent, match="permanent"):
        policy(call)
    assert call.calls == 1


def start_server(call):
    """Makes its policy when it is called, so that the test can shorten the deadline."""
    return server_start()(call)


@pytest.mark.parametrize(
    ("policy", "error"),
    [
        (retry_database, DatabaseUnavailable),
        (busy_model(DEADLINE_SECONDS), ModelBusy),
        (table_lock(is_locked, DEADLINE_SECONDS), LockedError),
        (start_server, SandboxError),
    ],
    ids=["database", "model", "lock", "server"],
)
def test_after_the_deadline_the_last_error_is_raised(policy, error, monkeypatch):
    monkeypatch.setattr(retry, "DATABASE_SECONDS", DEADLINE_SECONDS)
    monkeypatch.setattr(retry, "SERVER_START_SECONDS", DEADLINE_SECONDS)
    call, start = FailingCall(error("still failing")), time.monotonic()
    with pytest.raises(error, match="still failing"):
        policy(call)
    assert call.calls > 1
    assert time.monotonic() - start < 10


def test_a_follower_retries_until_it_is_stopped():
    stop = threading.Event()
    call = FailingCall(DatabaseUnavailable("away"))
    threading.Timer(DEADLINE_SECONDS, stop.set).start()
    with pytest.raises(DatabaseUnavailable):
        database_until_stopped(stop)(call)
    assert stop.is_set()
    assert call.calls > 1


def test_the_time_that_a_model_was_not_asked_takes_nothing_of_the_patience():
    asleep = 0.0

    def sleep_and_fail(*_):
        nonlocal asleep
        time.sleep(0.4)
        asleep += 0.4
        return call("argument")

    call = FailingCall(ModelBusy("temporary"), failures=1)
    with pytest.raises(ModelBusy):
        busy_model(0.3)(sleep_and_fail)
    call.calls = asleep = 0
    assert busy_model(0.3, lambda: asleep)(sleep_and_fail) == ("argument",)

"""Looks at the status, one after another, at a database that comes and goes."""

import json
import signal
import threading
import time

import pytest

from ragkit.errors import ConfigError, DatabaseUnavailable
from ragkit.migration.status import Status, read_status
from ragkit.runbook.cli import watch
from ragkit.runbook.cli.watch import changes, look_often
from tests.runbook.test_stopping import params, proxy, start, stop  # noqa: F401 (fixtures)


def looks_at(answers: list, stop: threading.Event, seconds: float = 0.01) -> list[watch.Look]:
    """The looks until the answers are used up; an exception is raised."""

    def read() -> Status:
        answer = answers.pop(0)
        if not answers:
            stop.set()
        if isinstance(answer, Exception):
            raise answer
        return answer

    return list(look_often(read, seconds, stop))


def test_a_database_that_is_away_is_shown_and_the_watch_goes_on(migration):
    status = read_status(migration, None)
    looks = looks_at([status, DatabaseUnavailable("refused"), status], threading.Event())
    assert [look.status for look in looks] == [status, None, status]
    assert looks[1].facts()["database"] == "away: refused"
    assert looks[0].facts()["phase"] == "planned"


def test_another_error_ends_the_watch():
    with pytest.raises(ConfigError):
        looks_at([ConfigError("no"), None], threading.Event())


def test_a_look_that_hangs_is_shown_once_and_no_other_is_started(monkeypatch):
    monkeypatch.setattr(watch, "PATIENCE_SECONDS", 0.2)
    stop, release, calls = threading.Event(), threading.Event(), []

    def read():
        calls.append(1)
        release.wait(30)
        raise DatabaseUnavailable("gone")

    looks = look_often(read, 0.01, stop)
    assert next(looks).fault.startswith("no answer for 0.2 s")
    time.sleep(0.5)
    release.set()
    assert next(looks).fault == "away: gone"
    assert len(calls) == 1
    stop.set()
    assert list(looks) == []


def test_a_stop_ends_a_watch_whose_look_hangs():
    stop, release = threading.Event(), threading.Event()
    threading.Timer(0.3, stop.set).start()
    begun = time.monotonic()
    assert list(look_often(lambda: release.wait(30), 60, stop)) == []
    assert time.monotonic() - begun < 2
    release.set()


def test_only_changes_are_passed_on():
    assert list(changes("aabbab", str.upper)) == ["a", "b", "a", "b"]
    assert list(changes([None, None], lambda item: item)) == [None]


def test_a_watch_outlives_a_silent_database_and_is_stopped(params, proxy, filled):  # noqa: F811
    process = start("status", params, "--watch", "0.5", "--json")
    assert json.loads(process.stdout.readline())["status"]["done"] == 6
    proxy.talking.clear()
    assert "no answer" in json.loads(process.stdout.readline())["fault"]
    proxy.talking.set()
    assert json.loads(process.stdout.readline())["status"]["done"] == 6
    seconds, said = stop(process, signal.SIGINT)
    assert seconds < 2
    assert (process.returncode, said) == (0, "")

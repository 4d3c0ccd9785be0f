"""What a webhook is told, and what it cannot do to a step."""

import json
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from ragkit.errors import ConfigError, GateError, PlanError
from ragkit.migration.plan import Plan
from ragkit.migration.schema.expansion import expand
from ragkit.runbook import notifications
from ragkit.runbook.notifications import address, notified, notifying
from ragkit.runbook.runbook import Runbook
from tests.conftest import make_plan, make_table
from tests.stand_ins import http_server

HANG_SECONDS = 3.0
SECRET = "T0/B0/hook-canary"


@contextmanager
def webhook(status=200, seconds=0.0):
    """Yields its address, and what it was told."""
    told = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            time.sleep(seconds)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http_server.serving(Hook) as url:
        yield f"{url}/{SECRET}", told


@pytest.fixture
def runbook(engine, tmp_path, monkeypatch):
    plan = make_plan({"notify.url": "env"})
    make_table(engine, plan, ["A shop."])
    monkeypatch.setenv("DATABASE_URL", engine.url.render_as_string())
    yield (runbook := Runbook(plan, tmp_path))
    runbook.engine.dispose()


def test_the_end_of_a_step_is_told_with_the_phase(runbook, monkeypatch):
    with webhook() as (url, told):
        monkeypatch.setenv("NOTIFY_URL", url)

        @notified("backfill")
        def step(runbook, value, *, more):
            expand(runbook.migration)
            return value + more

        assert step(runbook, 1, more=2) == 3
    [message] = told
    assert (message["step"], message["outcome"]) == ("backfill", "done")
    assert (message["phase"], message["verdict"], message["failure"]) == ("expanded", None, None)
    assert message["table"] == runbook.plan.name
    assert message["migration"] == runbook.plan.migration_id


def test_a_failure_is_told_and_raised(runbook, monkeypatch):
    with webhook() as (url, told):
        monkeypatch.setenv("NOTIFY_URL", url)
        with pytest.raises(GateError), notifying(runbook, "compare"):
            raise GateError("the verdict is NO-GO")
        with pytest.raises(ValueError, match="a text"), notifying(runbook, "compare"):
            raise ValueError("a text of a row")
    assert [message["failure"] for message in told] == ["the verdict is NO-GO", "ValueError"]
    assert {message["outcome"] for message in told} == {"failed"}


def test_a_database_that_is_away_is_no_reason_to_be_silent(runbook, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    with webhook() as (url, told):
        monkeypatch.setenv("NOTIFY_URL", url)
        with pytest.raises(GateError), notifying(runbook, "compare"):
            raise GateError("no")
    assert (told[0]["outcome"], told[0]["phase"]) == ("failed", None)


@pytest.mark.parametrize(("status", "said"), [(500, "status 500"), (302, "status 302")])
def test_a_webhook_that_refuses_is_a_line_of_the_log(runbook, monkeypatch, caplog, status, said):
    with webhook(status) as (url, _):
        monkeypatch.setenv("NOTIFY_URL", url)
        with notifying(runbook, "compare"):
            pass
    assert said in caplog.text
    assert SECRET not in caplog.text


def test_a_webhook_that_hangs_or_is_away_holds_nothing_up(runbook, monkeypatch, caplog):
    monkeypatch.setattr(notifications, "WAIT_SECONDS", 0.3)
    with webhook(seconds=HANG_SECONDS) as (url, _):
        monkeypatch.setenv("NOTIFY_URL", url)
        start = time.monotonic()
        with notifying(runbook, "compare"):
            pass
        assert time.monotonic() - start < 2
    with notifying(runbook, "compare"):  # nobody listens there any more
        pass
    assert caplog.text.count("the notification was not sent") == 2
    assert SECRET not in caplog.text


def test_nobody_is_told_by_default():
    assert address(make_plan(), {"NOTIFY_URL": "https://example.com"}) == ""


def test_an_address_that_is_missing_or_none_is_told_before_the_step(runbook, monkeypatch):
    for value in ("", "ftp://example.com"):
        monkeypatch.setenv("NOTIFY_URL", value)
        with pytest.raises(ConfigError, match="NOTIFY_URL"), notifying(runbook, "compare"):
            raise AssertionError("the step has begun")


@pytest.mark.parametrize(
    "url", ["example.com", "https://user:word@example.com", "https://a/?key=b"]
)
def test_an_address_with_a_secret_is_refused_in_a_params_file(url):
    values = make_plan().model_dump(by_alias=True)
    with pytest.raises(PlanError, match=r"notify\.url"):
        Plan.of({**values, "notify": {"url": url}})

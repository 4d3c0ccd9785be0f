"""What a canary reads of the log, by gcloud."""

from datetime import UTC, datetime, timedelta

import pytest

from ragkit.deploy.app import Revision
from ragkit.deploy.canary.comparisons import Comparisons
from ragkit.deploy.canary.limits import EMPTY, ERRORS, OVERLAP, SLOW
from ragkit.deploy.canary.request_log import RequestLog
from ragkit.retrieval.log.answers import ASKED_BY_RAGKIT

OLD, NEW = Revision("fn-1", "m1"), Revision("fn-2", "m2")


class Log:
    """A log of the function fn, and the comparisons that are read from it."""

    def __init__(self, cloud):
        self.cloud, self.reader = cloud, RequestLog("fn", OLD, NEW)
        self.comparisons = Comparisons(1.5)
        self.stream = self.comparisons.open_stream()
        self.count = 0

    def write(self, revision=OLD, seconds_ago=0.0, **more):
        self.count += 1
        at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        entry = {
            "insertId": f"e{self.count}",
            "timestamp": at.isoformat().replace("+00:00", "123Z"),  # nanoseconds
            "resource": {"labels": {"revision_name": revision.name}},
        }
        self.cloud.log(entry | more)

    def request(self, revision=OLD, status=200, agent="a browser", path="/", latency="0.05s"):
        request = {"status": status, "latency": latency, "userAgent": agent}
        self.write(
            revision,
            logName="projects/p/logs/run.googleapis.com%2Frequests",
            httpRequest=request | {"requestUrl": f"https://fn.example{path}"},
        )

    def line(self, revision=OLD, **payload):
        self.write(revision, jsonPayload=payload)

    def read(self):
        self.reader.read(self.comparisons, self.stream)
        return self.comparisons.values


@pytest.fixture
def log(cloud):
    return Log(cloud)


def test_requests_tell_errors_and_times_and_lines_tell_rows(log):
    for revision in (OLD, NEW, OLD, NEW):
        log.request(revision, 500 if revision == NEW else 200)
        log.line(revision, event="ragkit.answer", rows=0 if revision == NEW else 3)
    values = log.read()
    assert (values[ERRORS], values[EMPTY]) == ([1.0, 1.0], [1.0, 1.0])
    assert values[SLOW] == [0.0]  # both at the same limit: one is as slow, one never came
    assert log.comparisons.answers == 2


def test_what_is_no_question_of_a_user_does_not_count(log):
    log.request(OLD)
    log.request(NEW, 500, agent=ASKED_BY_RAGKIT)
    log.request(NEW, 500, path="/healthz")
    log.request(Revision("fn-0", "m0"), 500)
    log.line(NEW, event="something else", rows=0)
    log.cloud.log({"insertId": "x"}, {"insertId": "y", "timestamp": "no", "resource": {}})
    assert not any(log.read().values())
    log.request(NEW)
    assert log.read()[ERRORS] == [0.0]


def test_nothing_is_read_twice_and_what_comes_late_is_read(log):
    log.request(OLD)
    log.request(NEW)
    assert log.read()[ERRORS] == [0.0]
    assert log.read()[ERRORS] == [0.0]
    request = {"status": 503, "latency": "1s", "requestUrl": "https://fn.example/"}
    log.write(NEW, seconds_ago=10, httpRequest=request)
    log.request(OLD)
    assert log.read()[ERRORS] == [0.0, 1.0]


def test_what_came_before_a_step_is_left_out(log):
    log.request(OLD)
    log.request(NEW)
    log.reader.skip()
    assert log.read()[ERRORS] == []


def test_a_shadow_of_the_new_model_tells_overlap(log):
    shadow = {"event": "ragkit.shadow", "model": "m1", "shadow": "m2", "rows": 3}
    log.line(OLD, **shadow, shadow_rows=0, overlap=0.0)
    log.line(OLD, **shadow, error="ModelError: no")
    log.line(OLD, **shadow, overlap=0.5)  # of an earlier version
    log.line(OLD, **(shadow | {"shadow": "m3"}), shadow_rows=3, overlap=1.0)
    values = log.read()
    assert (values[OVERLAP], values[EMPTY]) == ([0.0], [1.0])


def test_a_log_that_cannot_be_read_is_said_and_read_again(log):
    log.cloud.write(log=False)
    log.request(OLD)
    log.request(NEW)
    assert log.read()[ERRORS] == []
    assert "PERMISSION_DENIED" in log.reader.fault
    assert log.reader.fault.endswith("only ragkit's own questions count")
    log.cloud.write(log=True)
    assert log.read()[ERRORS] == [0.0]
    assert log.reader.fault == ""


def test_the_query_names_the_service_and_leads_to_its_log_only(log):
    log.read()
    (call,) = log.cloud.calls
    assert 'resource.labels.service_name="fn"' in call
    assert "--order=desc --limit=2000" in call

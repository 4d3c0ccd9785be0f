import json

import pytest

from tests.scale import calls
from tests.scale.calls import Call


def made(*times, rows=()):
    return [Call(at, at + 0.3, 10, tuple(rows) or (n,)) for n, at in enumerate(times)]


def test_the_log_is_read_in_the_order_of_arrival(tmp_path):
    log = tmp_path / "calls.jsonl"
    lines = [{"at": at, "until": at + 1, "tokens": 3, "rows": [7]} for at in (2.0, 1.0)]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [call.at for call in calls.read(log)] == [1.0, 2.0]


def test_a_call_with_a_row_that_was_asked_before_is_paid_twice():
    assert calls.paid_twice(made(1.0, 2.0, 3.0)) == 0
    assert calls.paid_twice(made(1.0, 2.0, 3.0, rows=(5, 6))) == 2


def test_the_error_is_that_of_the_rate():
    even = made(*(n * 0.1 for n in range(101)))  # 600 a minute
    assert calls.quota_error(even, 600) == pytest.approx(0, abs=1e-9)
    assert calls.quota_error(even, 500) == pytest.approx(0.2)


def test_a_burst_is_an_excess_and_a_pause_is_none():
    assert calls.excess(made(*(n * 0.1 for n in range(300))), 600) <= 0.001
    assert calls.excess(made(*(n * 0.1 for n in range(100)), 60.0), 600) <= 0.001
    burst = made(*sorted([n * 0.1 for n in range(100)] + [5.0] * 10))
    assert calls.excess(burst, 600) == pytest.approx(0.09, abs=0.011)


def test_calls_that_run_are_those_between_question_and_answer():
    some = made(1.0, 1.2, 2.0)
    assert calls.running(some, 1.25) == 2
    assert calls.running(some, 1.6) == 0
    assert len(calls.between(some, 1.0, 2.0)) == 2

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ragkit.errors import ModelBusy, Stopped
from ragkit.migration.backfill.model_calls import in_flight as module
from ragkit.migration.backfill.model_calls.in_flight import InFlight, ObservedEmbedder
from tests.stand_ins.recording import RecordingEmbedder


def test_no_more_than_the_allowed_run_at_once():
    slots, most = InFlight(3), []

    def run(_):
        with slots.slot():
            most.append(slots.running)
            time.sleep(0.01)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(40)))
    assert max(most) == 3
    assert slots.running == 0


def test_a_busy_model_gets_half_as_many_once_a_moment_and_then_more_again(monkeypatch):
    slots = InFlight(8)
    for _ in range(5):  # they left together
        slots.busy()
    assert slots.allowed == 4
    monkeypatch.setattr(module, "CALM_SECONDS", 0.0)
    for _ in range(5):
        slots.busy()
    assert slots.allowed == 1
    answers = 0
    while slots.allowed < 8:
        slots.answered()
        answers += 1
    assert answers == sum(range(1, 8))
    slots.answered()
    assert slots.allowed == 8


def test_a_slot_that_opens_again_is_taken():
    slots = InFlight(2)
    slots.busy()
    entered = threading.Event()

    def second():
        with slots.slot():
            entered.set()

    with slots.slot():
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.1)
        slots.answered()
        assert entered.wait(5)
    thread.join()


def test_the_embedder_tells_how_the_model_took_its_requests(new_embedder):
    slots = InFlight(4)

    def refuse(texts):
        if "busy" in texts:
            raise ModelBusy("429")

    observed = ObservedEmbedder(RecordingEmbedder(new_embedder, refuse), slots)
    with pytest.raises(ModelBusy):
        observed.embed_documents(["busy"])
    assert slots.allowed == 2
    for _ in range(2):
        observed.embed_documents(["fine"])
    assert slots.allowed == 3


def test_while_held_no_request_starts_and_one_that_waits_can_be_given_up():
    slots, given_up = InFlight(2), []
    slots.steer(2, 1.0, held=True)

    def work():
        try:
            with slots.slot():
                given_up.append("ran")
        except Stopped:
            given_up.append("given up")

    waiting = threading.Thread(target=work)
    waiting.start()
    waiting.join(0.2)
    assert given_up == []
    slots.close()
    waiting.join(5)
    assert given_up == ["given up"]


def test_a_slot_rests_after_a_request_at_a_lower_pace():
    slots = InFlight(1)
    slots.steer(1, 0.25, held=False)
    start = time.monotonic()
    for _ in range(3):
        with slots.slot():
            time.sleep(0.05)
    assert time.monotonic() - start >= 3 * 0.05 + 2 * 0.15
    slots.steer(1, 1.0, held=False)  # and at the usual one it does not
    start = time.monotonic()
    with slots.slot():
        pass
    assert time.monotonic() - start < 0.1


def test_another_limit_counts_at_once():
    slots = InFlight(8)
    slots.busy()
    slots.steer(3, 1.0, held=False)
    assert (slots.limit, slots.allowed) == (3, 3)


def test_a_request_that_is_with_the_model_has_its_deadline_at_any_pace():
    slots = InFlight(1)
    slots.steer(1, 0.25, held=False)
    assert slots.waits
    with slots.slot():
        assert not slots.waits
    slots.steer(1, 1.0, held=False)
    assert not slots.waits


def test_a_request_that_waits_for_the_quota_is_held_and_its_time_has_gone_by():
    in_flight, done = InFlight(2), []

    def wait():
        done.append(in_flight.sleep(0.3))

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.05)
    in_flight.steer(2, 1.0, held=True)
    thread.join(0.6)
    assert done == []
    in_flight.steer(2, 1.0, held=False)
    thread.join(1)
    assert done == [True]
    assert not in_flight.sleep(0.01)


def test_a_request_that_waits_for_the_quota_ends_with_the_run():
    in_flight = InFlight(2)
    threading.Timer(0.05, in_flight.close).start()
    start = time.monotonic()
    with pytest.raises(Stopped):
        in_flight.sleep(30)
    assert time.monotonic() - start < 1


def test_while_each_request_waits_for_the_quota_the_model_is_not_the_one_that_is_late():
    in_flight, at_quota, at_model = InFlight(2), threading.Event(), threading.Event()

    def ask():
        with in_flight.slot():
            at_quota.set()
            in_flight.sleep(0.3)
            at_model.wait(5)

    thread = threading.Thread(target=ask)
    thread.start()
    assert at_quota.wait(5)
    time.sleep(0.05)
    assert in_flight.waits
    with in_flight.slot():
        assert not in_flight.waits  # this one is with the model
    time.sleep(0.4)
    assert not in_flight.waits
    at_model.set()
    thread.join()


def test_each_slot_counts_for_how_long_its_thread_has_slept():
    in_flight = InFlight(1)
    for _ in range(2):
        with in_flight.slot():
            assert in_flight.slept() == 0
            for _ in range(2):
                in_flight.sleep(0.05)
            assert in_flight.slept() == pytest.approx(0.1, abs=0.05)

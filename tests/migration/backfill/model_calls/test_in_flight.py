import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ragkit.errors import ModelBusy
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

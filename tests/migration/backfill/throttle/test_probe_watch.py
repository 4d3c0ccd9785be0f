import asyncio
import json
import socket
from contextlib import suppress

import numpy as np
import pytest

from ragkit.deploy import probe as real_probe
from ragkit.migration.backfill.throttle import probe_watch
from ragkit.migration.backfill.throttle.probe_watch import MIN_GROUPS, ProbeWatch
from tests.migration.backfill.throttle.clock import Clock


class SimulatedProbe:
    """Writes a log as the probe does, on a clock of its own: `ms` says how long each request
    takes, None that it hangs."""

    def __init__(self, folder, rate=12.0, ms=lambda: 10.0):
        self.log, self.clock, self.rate, self.ms = folder / "probe.jsonl", Clock(), rate, ms
        self.error, self.hanging = None, []
        self.log.touch()

    def watch(self, factor=1.5):
        return ProbeWatch(self.log, factor, self.clock)

    def run(self, seconds):
        with self.log.open("a") as file:
            end = self.clock.now + seconds
            while self.clock.now < end:
                due = self.clock.now
                file.write(json.dumps({"due": due}) + "\n")
                self.clock.now += 1 / self.rate
                if (ms := self.ms()) is None:
                    self.hanging.append(due)
                    continue
                row = {"due": due, "ms": ms, "error": self.error}
                file.write(json.dumps(row) + "\n")

    def come_back(self):
        with self.log.open("a") as file:
            for due in self.hanging:
                row = {"due": due, "ms": 1000 * (self.clock.now - due), "error": None}
                file.write(json.dumps(row) + "\n")
        self.hanging = []

    def seen(self, watch, seconds):
        """What each second's check says."""
        verdicts = []
        for _ in range(seconds):
            self.run(1.0)
            verdicts.append(watch())
        return verdicts


@pytest.fixture
def probe(tmp_path):
    return SimulatedProbe(tmp_path)


def test_a_steady_app_is_not_slow(probe):
    probe.run(60)
    assert not any(probe.seen(probe.watch(), 60))


@pytest.mark.parametrize("rate", [12.0, 1.0])
def test_a_slow_app_is_seen_until_it_recovers(probe, rate):
    probe.rate = rate
    probe.run(90)
    watch, probe.ms = probe.watch(), lambda: 40.0
    assert probe.seen(watch, 25)[-1] == "the app's p95 grew from 10 to 40 ms"
    probe.ms = lambda: 10.0
    assert probe.seen(watch, 25)[-1] == ""


def test_a_difference_of_a_few_milliseconds_is_noise(probe):
    probe.ms = lambda: 1.0
    probe.run(60)
    watch, probe.ms = probe.watch(), lambda: 4.0
    assert not any(probe.seen(watch, 30))


def test_an_app_whose_latency_varies_much_is_hardly_ever_slow(probe):
    """Ten minutes of the same heavy tail as in the minute before."""
    random = np.random.default_rng(1)
    probe.ms = lambda: float(20 * random.lognormal(0, 0.8))
    probe.run(60)
    verdicts = probe.seen(probe.watch(), 600)
    assert sum(map(bool, verdicts)) <= 0.03 * len(verdicts)


def test_a_burst_in_the_minute_before_does_not_move_the_baseline(probe):
    probe.run(40)
    probe.ms = lambda: 2000.0
    probe.run(3)
    probe.ms = lambda: 10.0
    probe.run(15)
    watch, probe.ms = probe.watch(), lambda: 40.0
    assert probe.seen(watch, 10)[-1] == "the app's p95 grew from 10 to 40 ms"


def test_too_little_traffic_says_nothing(probe):
    probe.rate = 0.2
    probe.run(60)
    watch, probe.ms = probe.watch(), lambda: 2500.0
    assert not any(probe.seen(watch, 60))


def test_traffic_that_has_ended_says_nothing(probe):
    probe.run(60)
    watch = probe.watch()
    probe.clock.now += 60
    assert (watch(), watch.is_alive()) == ("", False)


def test_a_baseline_is_made_as_soon_as_there_is_traffic_enough(probe):
    watch = probe.watch()
    probe.seen(watch, MIN_GROUPS * 2)
    probe.ms = lambda: 40.0
    assert probe.seen(watch, 10)[-1]


@pytest.mark.parametrize("rate", [12.0, 0.5], ids=["busy", "little traffic"])
def test_a_stalled_app_is_slow_while_it_hangs(probe, rate):
    """Also where there is too little traffic for a p95."""
    probe.rate = rate
    probe.run(60)
    watch, probe.ms = probe.watch(), lambda: None
    probe.seen(watch, 4)
    probe.run(2)
    assert watch().startswith("the app has not answered for ")
    probe.come_back()
    probe.ms = lambda: 10.0
    assert not probe.seen(watch, 40)[-1]


def test_a_slow_answer_beside_others_is_no_stall(probe):
    probe.run(60)
    watch = probe.watch()
    with probe.log.open("a") as file:
        file.write(json.dumps({"due": probe.clock.now}) + "\n")
    assert not any(probe.seen(watch, 9))


def test_requests_of_a_probe_that_is_gone_are_no_stall(probe):
    probe.run(60)
    watch, probe.ms = probe.watch(), lambda: None
    probe.run(1)
    probe.clock.now += 20
    assert watch() == ""


def test_an_app_that_answers_with_errors_is_slow(probe):
    probe.run(60)
    watch, probe.error = probe.watch(), "status 503"
    assert "grew from 10 to 10000 ms" in probe.seen(watch, 10)[-1]


def test_a_probe_that_never_got_a_good_answer_slows_nothing(probe):
    probe.error = "no results"
    probe.run(60)
    assert not any(probe.seen(probe.watch(), 20))


def test_a_torn_line_is_read_once_it_is_whole(probe):
    watch = probe.watch()
    line = json.dumps({"due": probe.clock.now - 5}) + "\n"
    with probe.log.open("a") as file:
        file.write(line[:8])
        file.flush()
        assert watch() == ""
        file.write(line[8:])
    assert watch() == "the app has not answered for 5 s"


def test_only_new_lines_are_read(probe):
    """Of a log of an hour, too, the first time only the end."""
    probe.run(3600)
    watch = probe.watch()
    size = probe.log.stat().st_size
    assert watch._offset == size
    assert len(watch._answered) <= 60 * probe.rate + 1
    probe.log.write_text("")  # another log
    probe.run(1)
    assert watch() == ""
    assert watch._offset == probe.log.stat().st_size


def test_a_real_app_that_hangs_is_seen_by_a_real_probe(tmp_path, monkeypatch):
    """It takes connections, and answers none."""
    monkeypatch.setattr(probe_watch, "STALL_SECONDS", 0.5)
    log, seen = tmp_path / "probe.jsonl", []

    async def probe_and_watch(url):
        running = asyncio.create_task(real_probe.run(url, ["coffee"], log, 20.0))
        await asyncio.sleep(1.2)
        seen.append(ProbeWatch(log, 1.5)())
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await running

    with socket.create_server(("127.0.0.1", 0)) as app:
        asyncio.run(probe_and_watch(f"http://127.0.0.1:{app.getsockname()[1]}"))
    assert seen == ["the app has not answered for 1 s"]

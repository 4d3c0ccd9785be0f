import logging

from ragkit.migration.backfill.throttle import MAX_PAUSE, Throttle


class SimulatedApp:
    """An app with a given latency and replica lag, on a clock of its own."""

    def __init__(self, ms=10.0, lag=None):
        self.now, self.ms, self.lag, self.paused = 0.0, ms, lag, 0.0

    def throttle(self, factor=1.5):
        lag, clock = lambda: self.lag, lambda: self.now
        return Throttle(self.ms, lambda: self.ms, lag, factor, self.sleep, clock)

    def sleep(self, seconds):
        self.now += seconds
        self.paused += seconds

    def write(self, throttle, writes, seconds=0.5):
        for _ in range(writes):
            self.now += seconds
            throttle.wait_if_slow()


def test_a_fast_app_causes_no_pause():
    app = SimulatedApp()
    app.write(app.throttle(), 100)
    assert app.paused == 0


def test_a_difference_of_a_few_milliseconds_causes_no_pause():
    app = SimulatedApp(ms=1.0)
    throttle = app.throttle()
    app.ms = 4.0
    app.write(throttle, 20)
    assert app.paused == 0


def test_a_slow_app_slows_the_backfill_in_steps_until_it_recovers(caplog):
    app = SimulatedApp()
    throttle = app.throttle()
    app.ms = 40.0
    with caplog.at_level(logging.WARNING):
        app.write(throttle, 40)
        assert throttle.pause == MAX_PAUSE
        assert throttle.reason == "the app's p95 grew from 10 to 40 ms"
        app.ms = 10.0
        app.write(throttle, 40)
    assert (throttle.pause, throttle.reason) == (0.0, "")
    assert "p95 40.0 ms (limit 15.0)" in caplog.text
    assert "at full speed again" in caplog.text


def test_a_lagging_replica_slows_the_backfill():
    app = SimulatedApp()
    throttle = app.throttle()
    app.lag = 30.0
    app.write(throttle, 10)
    assert throttle.pause > 0
    assert throttle.reason == "a standby is 30 s behind"


def test_the_latency_is_measured_at_most_once_a_second():
    measurements = []
    app = SimulatedApp()
    throttle = Throttle(1.0, lambda: measurements.append(1) or 1.0, lambda: None, 1.5, app.sleep,
                        lambda: app.now)  # fmt: skip
    app.write(throttle, 100, seconds=0.01)
    assert len(measurements) == 1

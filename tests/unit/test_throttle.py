import logging

from ragkit.migration.throttle import LONGEST, Throttle


class World:
    """A clock that sleeping moves, an app whose latency is set, a replica."""

    def __init__(self, ms=10.0, lag=None):
        self.now, self.ms, self.lag, self.slept = 0.0, ms, lag, 0.0

    def throttle(self, factor=1.5):
        lag, clock = lambda: self.lag, lambda: self.now
        return Throttle(self.ms, lambda: self.ms, lag, factor, self._sleep, clock)

    def _sleep(self, seconds):
        self.now += seconds
        self.slept += seconds

    def write(self, throttle, times=1, seconds=0.5):
        for _ in range(times):
            self.now += seconds
            throttle.breathe()


def test_a_quiet_app_is_never_waited_for():
    world = World()
    world.write(world.throttle(), 100)
    assert world.slept == 0


def test_noise_of_a_fast_app_is_no_reason():
    world = World(ms=1.0)
    throttle = world.throttle()
    world.ms = 4.0
    world.write(throttle, 20)
    assert world.slept == 0


def test_it_slows_step_by_step_and_recovers(caplog):
    world = World()
    throttle = world.throttle()
    world.ms = 40.0
    with caplog.at_level(logging.WARNING):
        world.write(throttle, 40)
        assert throttle.pause == LONGEST
        world.ms = 10.0
        world.write(throttle, 40)
    assert throttle.pause == 0.0
    assert "p95 40.0 ms (limit 15.0)" in caplog.text
    assert "at full speed again" in caplog.text


def test_a_replica_that_falls_behind_counts_too():
    world = World()
    throttle = world.throttle()
    world.lag = 30.0
    world.write(throttle, 10)
    assert throttle.pause > 0


def test_it_looks_once_a_second_at_most():
    looks = []
    world = World()
    throttle = Throttle(1.0, lambda: looks.append(1) or 1.0, lambda: None, 1.5, world._sleep,
                        lambda: world.now)  # fmt: skip
    world.write(throttle, 100, seconds=0.01)
    assert len(looks) == 1

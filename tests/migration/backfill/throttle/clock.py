class Clock:
    """Time that passes when it is told to."""

    def __init__(self, now=1000.0):
        self.now, self.slept = now, 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.slept += seconds

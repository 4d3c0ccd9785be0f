"""A plug-in whose provider dies: from then on its constructor fails."""

from tests.stand_ins.letters import Letters


class Mortal(Letters):
    alive = True
    calls = 0

    def __init__(self) -> None:
        type(self).calls += 1
        if not self.alive:
            raise ConnectionRefusedError("the provider is gone")

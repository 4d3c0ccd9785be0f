"""A plug-in that takes its process with it, as a lack of memory does."""

import os
import signal

from tests.stand_ins.letters import Letters


class Deadly(Letters):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        os.kill(os.getpid(), signal.SIGKILL)
        return []

"""The letters model with a delay per request, as a remote service has."""

import time

from tests.stand_ins.letters import Letters

SECONDS = 0.4


class Slow(Letters):
    def embed_documents(self, texts):
        time.sleep(SECONDS)
        return super().embed_documents(texts)

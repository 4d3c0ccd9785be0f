"""A plug-in whose provider never answers a batch, while HANG is set in the environment."""

import os
import time

from tests.stand_ins.letters import Letters


class Hanging(Letters):
    def embed_documents(self, texts):
        if os.environ.get("HANG"):
            time.sleep(3600)
        return super().embed_documents(texts)

"""ragkit's command line with a model that fails on demand.

    python -m tests.chaos.unreliable_model BEHAVIOURS backfill --params FILE

BEHAVIOURS is a list with commas: slow, busy, hang, nan, fewer or dimension for each of the next
calls of the model. The last one stays.
"""

import sys
import time

from ragkit.embedding.providers import wordllama
from ragkit.errors import ModelBusy
from ragkit.runbook.cli import main

SLOW_SECONDS, HANG_SECONDS = 0.15, 3.0


class UnreliableWords:
    """The real word vectors, behind the faults of a model service."""

    def __init__(self, words, behaviours: list[str]):
        self._words, self._behaviours = words, behaviours

    def embed(self, texts, norm):
        behaviour = self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
        if behaviour == "busy":  # as the clients of model services report 429 and 503
            raise ModelBusy("the quota is used up")
        time.sleep(HANG_SECONDS if behaviour == "hang" else SLOW_SECONDS)
        vectors = self._words.embed(texts, norm=norm)
        if behaviour == "nan":
            vectors[0, 0] = float("nan")
        return {"fewer": vectors[:-1], "dimension": vectors[:, :-1]}.get(behaviour, vectors)


def load(model, behaviours):
    embedder = wordllama.WordLlamaEmbedder(model)
    embedder._model = UnreliableWords(embedder._model, behaviours)
    return embedder


if __name__ == "__main__":
    behaviours = sys.argv.pop(1).split(",")
    wordllama.load = lambda model, _: load(model, behaviours)
    main()

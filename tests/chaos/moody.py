"""ragkit's command line with a model that has bad days.

    python -m tests.chaos.moody MOODS backfill --params FILE

MOODS is a list with commas, one for each of the model's next calls; the last one stays.
"""

import sys
import time

from ragkit.embedders import wordllama
from ragkit.errors import ModelBusy
from ragkit.runbook.cli import main

SLOW_SECONDS, HANG_SECONDS = 0.15, 3.0


class Moody:
    """In the place of the real word vectors: what a model service does on a bad day."""

    def __init__(self, words, moods: list[str]):
        self._words, self._moods = words, moods

    def embed(self, texts, norm):
        mood = self._moods.pop(0) if len(self._moods) > 1 else self._moods[0]
        if mood == "busy":  # as 429 and 503 are told by the clients of model services
            raise ModelBusy("the quota is spent")
        time.sleep(HANG_SECONDS if mood == "hang" else SLOW_SECONDS)
        vectors = self._words.embed(texts, norm=norm)
        if mood == "nan":
            vectors[0, 0] = float("nan")
        return {"fewer": vectors[:-1], "dimension": vectors[:, :-1]}.get(mood, vectors)


def load(model, moods):
    embedder = wordllama.WordLlamaEmbedder(model)
    embedder._words = Moody(embedder._words, moods)
    return embedder


if __name__ == "__main__":
    moods = sys.argv.pop(1).split(",")
    wordllama.load = lambda model: load(model, moods)
    main()

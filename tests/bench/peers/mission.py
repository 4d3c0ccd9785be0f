"""A model of the mission's 768 dimensions that runs here, for all apps of the benchmark alike."""

from pathlib import Path

import numpy as np
import wordllama


class Mission:
    """In LangChain's shape: wordllama's 256 dimensions three times over, with the same cosines."""

    def __init__(self):
        folder = Path(wordllama.__file__).parent  # the wheel's own weights: nothing is looked up
        self.words = wordllama.WordLlama.load(dim=256, cache_dir=folder, disable_download=True)

    def embed_documents(self, texts):
        vectors = np.tile(self.words.embed(list(texts), norm=True), 3)
        return (vectors / np.sqrt(3)).tolist()

    def embed_query(self, text):
        return self.embed_documents([text])[0]

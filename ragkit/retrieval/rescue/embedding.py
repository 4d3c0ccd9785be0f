"""A question and the texts of its candidates, embedded together where the service takes both, and
remembered."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ragkit.deadline import call_within
from ragkit.embedding.embedder import Embedder, JointEmbedder
from ragkit.errors import ModelBusy, ModelError, PartialRefusal, RowRefused, TextTooLong

KEPT = 1000
"""Texts whose vectors are remembered: some megabytes."""
log = logging.getLogger(__name__)

Vectors = Mapping[int, np.ndarray | None]
"""By a text's position: None for one that the model does not take, nothing for one whose request
failed."""


@dataclass(frozen=True)
class Embedded:
    """The question's vector, None where the model failed, those of rows by key, and how many of
    them were paid for."""

    question: np.ndarray | None
    rows: Mapping[str, np.ndarray] = field(default_factory=dict)
    paid: int = 0


class RememberingModel:
    """Remembers the vectors of the last texts: one that is asked for again before it is written, or
    by a role that may not write, is not paid for again; nor is one that the model does not take.
    Safe to share."""

    def __init__(self, embedder: Embedder):
        self._embedder, self._lock = embedder, threading.Lock()
        self._vectors: OrderedDict[str, np.ndarray | None] = OrderedDict()

    def embed(self, question: str, texts: Mapping[str, str], deadline: float) -> Embedded:
        """The question and texts by key, until `deadline` on time.monotonic(). Raises TextTooLong
        for the question."""
        known, seconds = self._find(texts), max(deadline - time.monotonic(), 0.0)
        new = {key: text for key, text in texts.items() if key not in known}
        try:
            if not seconds:
                raise TimeoutError
            vector, vectors = call_within(seconds, self._ask, question, list(new.values()))
        except TextTooLong:
            raise
        except (ModelError, TimeoutError) as error:
            reason = str(error) or f"no answer in {seconds:.1f} s"
            log.warning("rescue: the new model did not rank the candidates: %s", reason)
            return Embedded(None)
        keys = list(new)
        bought = {keys[place]: each for place, each in vectors.items()}
        rows = {key: each for key, each in {**known, **bought}.items() if each is not None}
        return Embedded(vector, rows, sum(each is not None for each in bought.values()))

    def _ask(self, question: str, texts: Sequence[str]) -> tuple[np.ndarray, Vectors]:
        """An answer that comes too late is remembered too."""
        vector, vectors = embed_jointly(self._embedder, question, texts)
        self._add({texts[place]: each for place, each in vectors.items()})
        return vector, vectors

    def _find(self, texts: Mapping[str, str]) -> dict[str, np.ndarray | None]:
        with self._lock:
            return {k: self._vectors[text] for k, text in texts.items() if text in self._vectors}

    def _add(self, vectors: Mapping[str, np.ndarray | None]) -> None:
        """By text."""
        with self._lock:
            for text, vector in vectors.items():
                self._vectors[text] = vector
                self._vectors.move_to_end(text)
            while len(self._vectors) > KEPT:
                self._vectors.popitem(last=False)


def embed_jointly(
    embedder: Embedder, question: str, texts: Sequence[str]
) -> tuple[np.ndarray, Vectors]:
    """Together where the service takes both. Raises ModelError for the question."""
    if isinstance(embedder, JointEmbedder):
        try:
            return embedder.embed_jointly(question, texts)
        except TextTooLong:
            raise
        except RowRefused as error:  # of one text, and with it the whole request
            log.warning("rescue: %d texts are not embedded: %s", len(texts), error)
            return embedder.embed_query(question), {}
    vector = embedder.embed_query(question)
    if not texts:
        return vector, {}
    try:
        return vector, dict(enumerate(embedder.embed_documents(texts)))
    except PartialRefusal as refusal:
        return vector, {
            place: None if place in refusal.refused else each
            for place, each in enumerate(refusal.vectors)
        }
    except (RowRefused, ModelBusy) as error:
        log.warning("rescue: %d texts are not embedded: %s", len(texts), error)
        return vector, {}

"""A question and the texts of its candidates, embedded together where the service takes both."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from ragkit.embedding.embedder import Embedder, JointEmbedder
from ragkit.errors import ModelBusy, PartialRefusal, RowRefused, TextTooLong

log = logging.getLogger(__name__)


def embed_jointly(
    embedder: Embedder, question: str, texts: Sequence[str]
) -> tuple[np.ndarray, Mapping[int, np.ndarray]]:
    """The question's vector, and those of the texts by position, in one request where the service
    takes both; a text that is refused has none. Raises ModelError."""
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
            place: each for place, each in enumerate(refusal.vectors)
            if place not in refusal.refused
        }  # fmt: skip
    except (RowRefused, ModelBusy) as error:
        log.warning("rescue: %d texts are not embedded: %s", len(texts), error)
        return vector, {}

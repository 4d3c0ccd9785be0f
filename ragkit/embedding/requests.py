"""Packs texts into requests, within a service's limits on texts and tokens."""

from collections.abc import Iterator, Sequence
from math import ceil

from ragkit.embedding.catalogue import Model

INITIAL_TOKENS_PER_BYTE = 0.5
"""Until the service has counted: English has about 0.25, Chinese and Japanese 0.4."""
SAFETY, DECAY = 1.2, 0.1


class TokenEstimator:
    """Estimates tokens before a request, on the safe side, and follows what the service counts:
    up at once, down slowly."""

    def __init__(self) -> None:
        self._tokens_per_byte = INITIAL_TOKENS_PER_BYTE

    def estimate(self, text: str) -> int:
        return ceil(len(text.encode()) * self._tokens_per_byte) + 1

    def learn(self, texts: Sequence[str], tokens: int) -> None:
        """`tokens` is what the service counted for `texts`."""
        sent = sum(len(text.encode()) for text in texts)
        if sent and tokens:
            seen = SAFETY * tokens / sent
            self._tokens_per_byte = max(seen, (1 - DECAY) * self._tokens_per_byte + DECAY * seen)


def pack_requests(texts: Sequence[str], model: Model, estimator: TokenEstimator) -> Iterator[range]:
    """The positions of each request's texts, in order; a text that is too long goes alone."""
    start, tokens = 0, 0
    for position, text in enumerate(texts):
        more = estimator.estimate(text)
        full = position - start == model.max_texts
        if position > start and (full or (model.max_tokens and tokens + more > model.max_tokens)):
            yield range(start, position)
            start, tokens = position, 0
        tokens += more
    if start < len(texts):
        yield range(start, len(texts))

"""Texts into requests, by a service's limits on texts and tokens."""

from collections.abc import Iterator, Sequence
from math import ceil

from ragkit.models import Model

FIRST_TOKENS_A_BYTE = 0.5
"""Before the service has told: English has about 0.25, Chinese and Japanese 0.4."""
MARGIN, FORGETTING = 1.2, 0.1


class TokenEstimate:
    """Tokens of a text before it is sent, on the safe side; it follows what the service counts:
    up at once, down slowly."""

    def __init__(self) -> None:
        self._a_byte = FIRST_TOKENS_A_BYTE

    def of(self, text: str) -> int:
        return ceil(len(text.encode()) * self._a_byte) + 1

    def learn(self, texts: Sequence[str], tokens: int) -> None:
        """`tokens` is what the service counted for `texts`."""
        sent = sum(len(text.encode()) for text in texts)
        if sent and tokens:
            seen = MARGIN * tokens / sent
            self._a_byte = max(seen, (1 - FORGETTING) * self._a_byte + FORGETTING * seen)


def packed(texts: Sequence[str], model: Model, estimate: TokenEstimate) -> Iterator[range]:
    """The places of each request's texts, in order; a text that is too long goes alone."""
    start, tokens = 0, 0
    for place, text in enumerate(texts):
        more = estimate.of(text)
        full = place - start == model.max_texts
        if place > start and (full or (model.max_tokens and tokens + more > model.max_tokens)):
            yield range(start, place)
            start, tokens = place, 0
        tokens += more
    if start < len(texts):
        yield range(start, len(texts))

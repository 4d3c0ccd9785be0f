"""Splits a text that is longer than a model takes: at white space where possible, losing nothing.

By the model's own tokenizer where it runs here, else by bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ragkit.embedding.embedder import Embedder, TokenCounter

BYTES_PER_TOKEN = (4, 2, 1)
"""Tried one after the other where a service counts the tokens: English has about 4 bytes a token,
Chinese and Japanese 2.5, and no tokenizer makes more than one token of a byte."""
SIZES_OF_UNKNOWN = tuple(2**n for n in (30, 15, 14, 13, 12, 11, 10))
"""In bytes, tried one after the other, for a model whose limit nobody knows: first any text of
PostgreSQL, then 32 kB down to 1 kB."""
CHARACTERS_AT_ONCE = 16
"""For each token of the limit: what the tokenizer gets at once of a long text."""


class Limit(Protocol):
    """What one text may hold."""

    def end(self, text: str, start: int) -> int:
        """Where the piece ends that begins at `start`; at least one character after it."""
        ...


@dataclass(frozen=True)
class TokenLimit:
    """`tokens`, counted by the model's own tokenizer, without the special ones."""

    tokens: int
    counter: TokenCounter

    def end(self, text: str, start: int) -> int:
        size = CHARACTERS_AT_ONCE * self.tokens
        spans = self.counter.token_spans(text[start : start + size])
        while len(spans) <= self.tokens and start + size < len(text):
            size *= 2
            spans = self.counter.token_spans(text[start : start + size])
        if len(spans) <= self.tokens:
            return len(text)
        end = after_white_space(text, start, start + max(1, spans[self.tokens][0]))
        # Half a word may have more tokens than the same characters had within the word.
        while end > start + 1:
            spans = self.counter.token_spans(text[start:end])
            if len(spans) <= self.tokens:
                break
            end = start + max(1, spans[self.tokens][0])
        return end


@dataclass(frozen=True)
class ByteLimit:
    """`size` is in bytes of UTF-8."""

    size: int

    def end(self, text: str, start: int) -> int:
        characters = text[start : start + self.size]
        fitting = characters.encode()[: self.size].decode(errors="ignore")
        end = start + max(1, len(fitting))
        return end if end >= len(text) else after_white_space(text, start, end)


def split_text(text: str, limit: Limit) -> list[str]:
    """Consecutive pieces within the limit; joined they are the text."""
    pieces, start = [], 0
    while start < len(text):
        end = limit.end(text, start)
        pieces.append(text[start:end])
        start = end
    return pieces or [text]


def limits_of(embedder: Embedder) -> Sequence[Limit]:
    """What to split by; each further one where the model refused a piece of the one before."""
    limit = embedder.model.max_tokens_per_text
    if limit is None:
        return [ByteLimit(size) for size in SIZES_OF_UNKNOWN]
    if isinstance(embedder, TokenCounter):
        return [TokenLimit(limit - embedder.special_tokens, embedder)]
    return [ByteLimit(limit * count) for count in BYTES_PER_TOKEN]


def after_white_space(text: str, start: int, end: int) -> int:
    """The last position up to `end` that follows white space; `end` itself where the second half
    of the piece has none."""
    for position in range(end, start + (end - start) // 2, -1):
        if text[position - 1].isspace():
            return position
    return end

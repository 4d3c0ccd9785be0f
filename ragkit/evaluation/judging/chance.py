"""What chance decides: which question is next, which list stands left, which row comes first.

All of it follows from the seed by a hash, so that a later session goes on in the same order, also
when questions were added meanwhile, and that two judges get different questions without a word
between them: but for one in SHARED, which every judge gets and by which they are compared.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import TypeVar

from ragkit.evaluation.judging.record.lines import Side

SHARED = 5
T = TypeVar("T")


def draw(questions: Iterable[str], seed: int, judge: str) -> list[str]:
    """The ids in the order in which this judge gets them. Each next one is as likely as any other
    that is left, whatever the answers were: what the sequential test needs."""
    return sorted(questions, key=lambda q: _number(seed, "" if is_shared(q, seed) else judge, q))


def is_shared(question: str, seed: int) -> bool:
    """Whether every judge gets it."""
    return _number(seed, "shared", question) % SHARED == 0


def left_side(question: str, seed: int, judge: str) -> Side:
    return "old" if _number(seed, "left", judge, question) % 2 else "new"


def shuffled(rows: Sequence[T], question: str, seed: int, judge: str) -> list[T]:
    """`rows` need not tell from which list they are."""
    order = sorted(range(len(rows)), key=lambda n: _number(seed, "pool", judge, question, n))
    return [rows[place] for place in order]


def _number(*parts: object) -> int:
    return int.from_bytes(sha256(repr(parts).encode()).digest()[:8])

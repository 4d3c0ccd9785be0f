"""The rows of a pass in batches: those of the sweep's ranges, then those of the queue."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from ragkit.embedding.catalogue import CHARACTERS_PER_TOKEN, Model
from ragkit.embedding.requests import SAFETY
from ragkit.migration.backfill.writing.side_writer import tidy_keys
from ragkit.migration.migration import Migration
from ragkit.migration.partitions.leaf import of_leaf
from ragkit.migration.work import queue, sweep
from ragkit.migration.work.rows import Place, Row, places, read_keys, read_places
from ragkit.retry import retry_database

MAX_BATCH_BYTES = 4 * 2**20
"""Of the texts that are read at once."""


@dataclass
class Portion:
    """Rows that were claimed together: when none of them is `open` any more, it is finished."""

    open: int
    finish: Callable[[], object]

    def settle(self, rows: int) -> None:
        """So many of them are done. Raises DatabaseError."""
        self.open -= rows
        if rows and not self.open:
            self.finish()


@dataclass(frozen=True)
class Batch:
    """Rows of a portion to embed; `gone` others of it need nothing any more."""

    portion: Portion
    rows: list[Row]
    gone: int


@dataclass(frozen=True)
class RequestLimits:
    """Of one request to the model: texts, and bytes of all texts."""

    texts: int
    bytes: int

    @classmethod
    def of(cls, model: Model, batch_size: int) -> "RequestLimits":
        """`batch_size` may lower the model's own limit; 0 does not."""
        tokens = model.max_tokens or MAX_BATCH_BYTES // CHARACTERS_PER_TOKEN
        texts = min(batch_size or model.max_texts, model.max_texts)
        return cls(texts, int(tokens * CHARACTERS_PER_TOKEN / SAFETY))

    def cut(self, found: Sequence[Place]) -> Iterator[Sequence[Place]]:
        """Parts that fit into a request; a longer text is alone."""
        start, size = 0, 0
        for end, place in enumerate(found):
            if end > start and (end - start == self.texts or size + place.size > self.bytes):
                yield found[start:end]
                start, size = end, 0
            size += place.size
        if start < len(found):
            yield found[start:]


def sweep_batches(
    migration: Migration, worker: str, limits: RequestLimits,
    goes_on: Callable[[], bool] = lambda: True,
) -> Iterator[Batch]:  # fmt: skip
    """Claims ranges while it `goes_on`, until none is left. Raises DatabaseError."""
    while goes_on() and (claimed := retry_database(sweep.claim, migration, worker)):
        leaf = of_leaf(migration, claimed.leaf)
        found = retry_database(places, leaf, claimed)
        if found is None:
            continue
        finish = partial(sweep.finish, migration, worker, claimed)
        if not found:
            retry_database(finish)
        portion = Portion(len(found), partial(retry_database, finish))
        for part in limits.cut(found):
            rows = retry_database(read_places, leaf, part)
            yield Batch(portion, rows, len(part) - len(rows))


def queue_batches(
    migration: Migration, worker: str, before: int, limits: RequestLimits
) -> Iterator[Batch]:
    """The keys that were written before the snapshot `before`. Raises DatabaseError."""
    block = 0
    while True:
        taken = retry_database(queue.take, migration, worker, before, limits.texts, block)
        if not taken.keys:
            return
        block, keys = taken.block, sorted(set(taken.keys.values()))
        if migration.new_side:
            retry_database(tidy_keys, migration, keys)
        rows = retry_database(read_keys, migration, keys)
        finish = partial(queue.remove, migration, worker, list(taken.keys))
        if rows:
            yield Batch(Portion(len(rows), partial(retry_database, finish)), rows, 0)
        else:
            retry_database(finish)

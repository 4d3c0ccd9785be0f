"""What a provider's batch API does for ragkit: a file of texts in, a file of vectors out, later.

A job is known by the provider's id, and found again by the label that ragkit gave it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from ragkit.embedding.catalogue.model import Model


@dataclass(frozen=True)
class Look:
    """How a job is. `ended`: it changes no more, and what it has answered can be collected, which
    may be a part or nothing: `reason` then says why, in the provider's word for it. `is_full`: it
    was not accepted, because too much of this account waits already."""

    state: Literal["waiting", "running", "ended"]
    reason: str = ""
    is_full: bool = False


@dataclass(frozen=True)
class Result:
    """What became of one text, by the `id` that it was sent with: a vector, or the word for why
    there is none. `is_refused`: the model does not take it. `tokens` as the service counted them;
    None where it does not say."""

    id: str
    vector: Sequence[float] | None
    tokens: int | None = None
    error: str = ""
    is_refused: bool = False


def digest_of(text: str) -> str:
    """What a text is known by at the provider, in 40 characters."""
    return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


class BatchEmbedder(Protocol):
    """The batch API of one model. Every method raises ModelError: ModelBusy for what passes,
    BatchLost where a job or its answers are gone."""

    model: Model

    def line(self, id: str, text: str) -> str:
        """The request for the vector of a row's text, as a line of the file to submit. `id` is the
        text's `digest_of`: some services answer with the text itself."""
        ...

    def submit(self, label: str, lines: Path) -> str:
        """The id of a new job. After an error that passes it may be there all the same: see
        `find`."""
        ...

    def find(self, label: str, since: datetime) -> str | None:
        """The id of the job that was submitted under this label after `since`."""
        ...

    def look(self, job: str) -> Look:
        """How it is now."""
        ...

    def collect(self, job: str) -> Iterator[Result]:
        """What a job that has ended has answered, in any order, as often as it is asked."""
        ...


@runtime_checkable
class BatchingEmbedder(Protocol):
    """An embedder whose provider has a batch API."""

    batches: BatchEmbedder

"""A space and the column that holds it: what makes two vectors comparable."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace

from ragkit.embedding.catalogue import Model
from ragkit.retrieval.side_table import VECTOR, SideTable

LONG_TEXTS = {"refuse": "", "cut": " (cut)", "pieces": " (mean of pieces)"}
"""What a template says behind the content column, by what becomes of long texts."""
READY, FILLING = "ready", "filling"
"""States of a binding: a column that is FILLING does not serve."""


@dataclass(frozen=True)
class Space:
    """Model (or what models have in common whose vectors compare), task type or prefix of the
    documents, output dimension and text template: the content column, and what becomes of long
    texts.

    Vectors of two spaces are never compared, even when their dimensions agree.
    """

    model: str
    task_type: str | None
    dimension: int
    template: str

    @classmethod
    def of(cls, model: Model, template: str) -> "Space":
        return cls(model.space_name, model.document_form, model.dimension, template)

    def is_of(self, model: Model) -> bool:
        """Whether `model` makes vectors of this space. One that was bound while a plug-in could
        not be called, or by version 0.2, has the plug-in's import path."""
        expected = Space.of(model, self.template)
        return self in (expected, replace(expected, model=model.name))

    def only_adds_to(self, other: "Space") -> bool:
        """Whether all vectors of `other` are of this space too: `other` refuses the long texts that
        this one cuts or splits."""
        ways = (suffix for suffix in LONG_TEXTS.values() if suffix)
        return any(self == replace(other, template=other.template + way) for way in ways)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits; equal for equal spaces only."""
        canonical = json.dumps(asdict(self), sort_keys=True).encode()
        return hashlib.sha256(canonical).hexdigest()[:16]


@dataclass(frozen=True)
class Binding:
    """One row of the contract: a column of a table holds the vectors of a space.

    `table` is "schema.table". The app shows no row beyond `cutoff`, a distance; None is no limit.
    With a `side` table, the vectors are there, and `column` is only what the contract calls them.
    `where` is SQL over columns of the table: only these rows are of the space; "" is every row.
    """

    table: str
    column: str
    space: Space
    distance: str = "cosine"
    state: str = FILLING
    cutoff: float | None = None
    side: SideTable | None = None
    where: str = ""

    @property
    def stored_in(self) -> tuple[str, str]:
        """The table, as "schema.table", and the column that hold the vectors."""
        return (self.side.name, VECTOR) if self.side else (self.table, self.column)

"""What old vectors show by themselves, where no model can be asked: lengths, padding, groups.

None of it proves which model made them. It tells what to look at before a migration is paid for.
"""

from dataclasses import dataclass

import numpy as np

from ragkit.database.translate import translate_errors
from ragkit.database.types import as_array
from ragkit.deploy.project_checks import Check
from ragkit.migration.migration import Migration
from ragkit.migration.rescue.approximated import find_events, is_marked

SAMPLE_ROWS = 1000
NEIGHBOURS = 5
"""Of each row in the graph of nearest neighbours."""
MIN_GROUP = 0.02
"""Share of the rows."""
MIN_TAIL = 8
"""Dimensions. Fewer zeros at a vector's end can be chance."""
UNIT_TOLERANCE = 0.01


@dataclass(frozen=True)
class VectorTraits:
    """Of a sample of a column. Shares are of `rows`.

    `zero_tail`: how many dimensions at the end are 0 in every padded vector; `padded`: the share
    of such vectors. `groups`: the shares of rows in parts of the neighbour graph that have no
    edge between them, the largest first; duplicates and outliers do not count.
    """

    rows: int
    dimension: int
    unit_length: float
    zero_tail: int
    padded: float
    groups: list[float]

    @classmethod
    def of(cls, vectors: np.ndarray) -> "VectorTraits":
        """`vectors`: float of shape (rows, dimension), at least one row."""
        norms = np.linalg.norm(vectors, axis=1)
        tails = _zero_tails(vectors)
        padded = tails >= MIN_TAIL
        return cls(
            rows=len(vectors),
            dimension=vectors.shape[1],
            unit_length=float((np.abs(norms - 1) <= UNIT_TOLERANCE).mean()),
            zero_tail=int(tails[padded].min()) if padded.any() else 0,
            padded=float(padded.mean()),
            groups=_groups(vectors),
        )

    def checks(self) -> list[Check]:
        """For the page of inspect. `passed` is None: none of it decides."""
        unit = f"{self.unit_length:.1%} of {self.rows} rows have length 1"
        checks = [Check("old vectors: length", f"{self.dimension} dimensions; {unit}", None)]
        if self.padded:
            source = self.dimension - self.zero_tail
            observed = f"the last {self.zero_tail} of {self.dimension} dimensions are 0 "
            observed += f"in {self.padded:.1%} of the rows"
            advice = f"a model of {source} dimensions made them, padded with zeros"
            checks.append(Check("old vectors: padding", observed, None, advice))
        if len(self.groups) > 1:
            shares = ", ".join(f"{share:.1%}" for share in self.groups)
            observed = f"{len(self.groups)} groups without common neighbours: {shares} of the rows"
            advice = "two models filled this column, or it holds two very different kinds of text"
            checks.append(Check("old vectors: groups", observed, None, advice))
        return checks


def read_traits(migration: Migration) -> VectorTraits | None:
    """Of the old column, without what a bridge made; None while it holds no vector. Raises
    DatabaseError."""
    vector = migration.old_vector
    query = migration.sample(vector, limit=SAMPLE_ROWS).where(vector.is_not(None))
    with translate_errors("inspecting old vectors"), migration.engine.connect() as connection:
        is_ours = is_marked(find_events(connection, migration), migration.key_text, vector)
        rows = list(connection.scalars(query.where(~is_ours)))
    return VectorTraits.of(as_array(rows)) if rows else None


def _zero_tails(vectors: np.ndarray) -> np.ndarray:
    """How many zeros each vector ends with; 0 for a vector of zeros only. Shape (rows,)."""
    is_set = vectors[:, ::-1] != 0
    return np.where(is_set.any(axis=1), is_set.argmax(axis=1), 0)


def _groups(vectors: np.ndarray) -> list[float]:
    """Parts of the graph of mutual nearest neighbours by cosine, as shares of the rows in them.

    Mutual, because one chance edge would join two models. Smaller parts are near-duplicates and
    outliers, and are left out.
    """
    from scipy.sparse.csgraph import connected_components  # its import costs 0.2 s

    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.unique(vectors / np.maximum(norms, 1e-12), axis=0)
    rows = len(unit)
    if rows <= 2 * NEIGHBOURS:
        return [1.0]
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    nearest = np.argpartition(-cosines, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    edges = np.zeros((rows, rows), np.uint8)
    np.put_along_axis(edges, nearest, 1, axis=1)
    parts = connected_components(edges & edges.T, directed=False)[1]
    sizes = np.bincount(parts)
    large = np.sort(sizes[sizes > max(NEIGHBOURS, MIN_GROUP * rows)])[::-1]
    return [float(size / large.sum()) for size in large] or [1.0]

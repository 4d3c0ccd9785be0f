"""Binary quantisation: candidates by the signs of a vector, then ranked by the vectors themselves.

The index holds one bit for each dimension, so that it is small and takes vectors that are too wide
for an index of their own; see pgvector's README, "Binary Quantization".
"""

from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_EF_SEARCH, MAX_EF_SEARCH = 40, 1000
"""pgvector's; see its README, "Query Options"."""


@dataclass(frozen=True)
class Bits:
    """`oversampling` candidates for each row asked for, of vectors of this dimension."""

    dimension: int
    oversampling: int

    def candidates(self, limit: int) -> int:
        """For `limit` rows: as many as hnsw.ef_search, beyond which an HNSW scan does not go."""
        return min(max(limit * self.oversampling, DEFAULT_EF_SEARCH), MAX_EF_SEARCH)

    def settings(self, limit: int) -> Mapping[str, str]:
        """Of the server. It takes a wide vector, which lies outside of its row, for as cheap to
        read as the row, and so would rather read the whole table for a few hundred candidates."""
        return {"hnsw.ef_search": str(self.candidates(limit)), "enable_seqscan": "off"}

    @property
    def candidates_sql(self) -> str:
        """Of `candidates`, where $2 is the limit."""
        return (
            f"least(greatest($2::bigint * {self.oversampling:d}, {DEFAULT_EF_SEARCH}), "
            f"{MAX_EF_SEARCH})"
        )

    def away_sql(self, stored: str) -> str:
        """The Hamming distance of the stored vector, given as SQL, from $1."""
        return f"{self.of_sql(stored)} <~> {self.of_sql('$1::vector')}"

    def of_sql(self, vector: str) -> str:
        """The bits of a vector, as the index has them; both are SQL."""
        return bits_sql(vector, self.dimension)


def factors(limit: int) -> list[int]:
    """Powers of two for `oversampling` that make a difference for `limit` rows."""
    found = [2 ** max(0, (DEFAULT_EF_SEARCH // limit).bit_length() - 1)]
    while found[-1] * limit < MAX_EF_SEARCH:
        found.append(2 * found[-1])
    return found


def bits_sql(vector: str, dimension: int) -> str:
    """One for each dimension: whether it is above 0. `vector` is SQL."""
    return f"binary_quantize({vector})::bit({dimension:d})"

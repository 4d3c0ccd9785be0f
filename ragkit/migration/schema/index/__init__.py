"""The approximate index of the new column, built while the table is written to."""

from ragkit.migration.schema.index.current import BuildProgress, IndexState, state
from ragkit.migration.schema.index.partitioned import build

__all__ = ["BuildProgress", "IndexState", "build", "state"]

"""The approximate index of the new column, built while the table is written to."""

from ragkit.migration.schema.index.complete import build
from ragkit.migration.schema.index.current import BuildProgress, IndexState, state

__all__ = ["BuildProgress", "IndexState", "build", "state"]

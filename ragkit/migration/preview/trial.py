"""What vectors of the new model cost on this server, measured on a few rows of the table."""

from dataclasses import asdict, dataclass

from ragkit.migration.migration import Migration
from ragkit.migration.preview.placements import Placements, measure_placements
from ragkit.migration.preview.row_time import time_reads
from ragkit.migration.schema.index.trial import IndexTrial, run_index_trial


@dataclass(frozen=True)
class Trial(IndexTrial):
    """Also seconds to read a row, and what it takes to write one."""

    read_seconds: float
    placements: Placements


def run_trial(migration: Migration) -> Trial:
    """Leaves nothing behind. Raises DatabaseError."""
    index = run_index_trial(migration)
    placements = measure_placements(migration, index.column_bytes)
    return Trial(**asdict(index), read_seconds=time_reads(migration), placements=placements)

"""What vectors of the new model cost on this server, measured on temporary tables."""

from dataclasses import asdict, dataclass

from ragkit.migration.migration import Migration
from ragkit.migration.preview.row_time import time_rows
from ragkit.migration.schema.index.trial import IndexTrial, run_index_trial


@dataclass(frozen=True)
class Trial(IndexTrial):
    """Also seconds to read and write a row."""

    row_seconds: float


def run_trial(migration: Migration) -> Trial:
    """Leaves nothing behind: the tables are temporary. Raises DatabaseError."""
    return Trial(**asdict(run_index_trial(migration)), row_seconds=time_rows(migration))

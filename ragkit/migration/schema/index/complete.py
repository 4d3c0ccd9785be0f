"""The index as a whole: refused where none can be, built, and searched as the contract says."""

from ragkit.migration.migration import Migration
from ragkit.migration.schema.index import partitioned
from ragkit.migration.schema.index.building import Report
from ragkit.migration.schema.index.choice.oversampling import settle
from ragkit.migration.schema.index.choice.width import require_index
from ragkit.migration.schema.index.current import IndexState


def build(migration: Migration, report: Report = lambda _: None) -> IndexState:
    """As `ragkit.migration.schema.index.building.build`, also for a table with partitions. Apps
    search by an index of bits once it is valid. Raises ConfigError, too, where the vectors are too
    wide for an index of the plan's type."""
    require_index(migration)
    built = partitioned.build(migration, report)
    settle(migration, is_valid=built.valid)
    return built

"""Column or side table: what each takes, and which one is recommended."""

from collections.abc import Iterator

from humanize import naturaldelta, naturalsize

from ragkit.database.translate import translate_errors
from ragkit.deploy.project_checks import Check
from ragkit.migration import phases
from ragkit.migration.migration import Migration
from ragkit.migration.partitions.tree import is_partitioned
from ragkit.migration.preview.figures import Measured, backfill_minutes
from ragkit.migration.preview.placements import Cost

WORTH = 1.5
"""A side table is recommended when a backfill into the column takes so many times as long: it needs
an app that searches through ragkit, or joins."""


def recommend(migration: Migration, measured: Measured) -> Iterator[Check]:
    """One check, before the backfill has begun; none for a table that has no choice. Raises
    DatabaseError."""
    if migration.phase() != phases.PLANNED or _is_partitioned(migration):
        return
    column, side_table = measured.trial.placements.column, measured.trial.placements.side_table
    if side_table is None:
        return
    slower = _minutes(measured, column) > WORTH * _minutes(measured, side_table)
    best = "side_table" if slower else "column"
    observed = (
        f"column: {_describe(measured, column)}; side table: {_describe(measured, side_table)}; "
        f"recommended: {best}"
    )
    fix = "set new.placement: side_table, if the app searches through ragkit or can join"
    yield Check("placement", observed, None, fix if slower and not migration.new_side else "")


def _is_partitioned(migration: Migration) -> bool:
    with translate_errors("looking at the table"), migration.engine.connect() as connection:
        return is_partitioned(connection, migration.quoted_table)


def _minutes(measured: Measured, placement: Cost) -> float:
    return backfill_minutes(measured.cost, measured.trial, placement)


def _describe(measured: Measured, placement: Cost) -> str:
    rows = measured.cost.rows
    hours = naturaldelta(60 * _minutes(measured, placement))
    wal, disk = naturalsize(placement.wal_bytes * rows), naturalsize(placement.disk_bytes * rows)
    return f"{hours}, {wal} of write-ahead log, {disk} of disk"

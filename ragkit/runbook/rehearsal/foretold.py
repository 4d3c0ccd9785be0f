"""The forecast of a rehearsal beside the run, in a notebook."""

from ragkit.migration.migration import Migration
from ragkit.migration.rehearsal.record import beside_the_run
from ragkit.report import show


def show_forecast(migration: Migration) -> None:
    """Nothing without a rehearsal. Raises DatabaseError."""
    if figures := beside_the_run(migration):
        show.table(figures)

"""The figures of a migration as they are now: all from the database, whoever works on it, and
without a look at more than a sample of the table."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.embedding.catalogue import Model, find_model, is_plugin
from ragkit.errors import ConfigError
from ragkit.migration import ledger, phases
from ragkit.migration.backfill.model_calls.costs import ModelCost, costs_of, read_spent
from ragkit.migration.backfill.model_calls.quota import Quota, waits
from ragkit.migration.control.settings import Settings, minutes_until_open, read_settings
from ragkit.migration.control.window import ALWAYS, Window
from ragkit.migration.migration import Migration
from ragkit.migration.progress import coverage, dead_letters
from ragkit.migration.progress.coverage import RowCounts
from ragkit.migration.schema.index.current import (
    BuildProgress,
    IndexState,
    read_builders,
    state,
)
from ragkit.migration.work import jobs, queue
from ragkit.migration.work.jobs import JobCounts
from ragkit.migration.work.queue import Depth
from ragkit.migration.work.sweep_state import SweepState, read_sweep
from ragkit.migration.work.tables import exist
from ragkit.migration.work.workers import count_alive

STATEMENT_SECONDS, LOCK_SECONDS = 3.0, 1.0
"""No statement of a scrape takes longer, or waits longer for a lock."""


@dataclass(frozen=True)
class Work:
    """What there is from `expand` on. `workers` by their step, of all migrations."""

    sweep: SweepState
    queue: Depth
    jobs: JobCounts
    dead_letters: int
    workers: dict[str, int]


@dataclass(frozen=True)
class Figures:
    """`rows` as of coverage.estimate_rows. `spent_usd` is of what shares the budget; `held`, by its
    reason, is what people do; `settings` are None where the row means nothing. `build` is a build
    of the index that is under way."""

    phase: str
    rows: RowCounts
    work: Work | None
    costs: Sequence[ModelCost]
    spent_usd: float
    quota: Quota | None
    quota_wait_seconds: float
    settings: Settings | None
    is_closed: bool
    index: IndexState
    build: BuildProgress | None = field(default=None)


def read_figures(migration: Migration) -> Figures:
    """In one transaction that reads only. Raises DatabaseError."""
    migration.follow_names()
    with translate_errors("reading the figures"), migration.engine.begin() as connection:
        for name, value in _settings().items():
            connection.execute(sa.select(sa.func.set_config(name, value, True)))
        phase = ledger.phase(connection, migration.id)
        is_expanded = phase != phases.PLANNED
        model = _model(migration)
        settings, is_closed = _read_control(connection, migration)
        builders = read_builders(connection, migration) if is_expanded else ()
        return Figures(
            phase=phase,
            rows=coverage.estimate_rows(connection, migration, expanded=is_expanded),
            work=_read_work(connection, migration) if is_expanded and exist(connection) else None,
            costs=costs_of(connection, migration.plan),
            spent_usd=read_spent(connection, migration).total,
            quota=Quota.of(model, migration.plan.backfill) if model else None,
            quota_wait_seconds=waits(connection, model) if model else 0.0,
            settings=settings,
            is_closed=is_closed,
            index=state(connection, migration),
            build=next((builder.progress for builder in builders if builder.progress), None),
        )


def _settings() -> dict[str, str]:
    return {
        "transaction_read_only": "on",
        "statement_timeout": f"{STATEMENT_SECONDS:g}s",
        "lock_timeout": f"{LOCK_SECONDS:g}s",
    }


def _model(migration: Migration) -> Model | None:
    """None for a plug-in, which would have to be asked, and has no quota of ours."""
    name = migration.plan.new.model
    return None if is_plugin(name) else find_model(name, migration.plan.facts)


def _read_work(connection: sa.Connection, migration: Migration) -> Work:
    return Work(
        read_sweep(connection, migration),
        queue.depth(connection, migration),
        jobs.count(connection, migration),
        dead_letters.count_entries(connection, migration),
        count_alive(connection),
    )


def _read_control(connection: sa.Connection, migration: Migration) -> tuple[Settings | None, bool]:
    """The settings, and whether the window is closed."""
    with suppress(ConfigError):  # workers and the status tell it
        settings = read_settings(connection, migration)
        window = settings.window or migration.plan.backfill.window or ALWAYS
        is_open = window == ALWAYS or not minutes_until_open(connection, Window.parse(window))
        return settings, not is_open
    return None, False

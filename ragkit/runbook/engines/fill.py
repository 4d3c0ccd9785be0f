"""The backfill of a plan, by the engine that it names."""

from collections.abc import Generator

from ragkit.migration.backfill.engine.driver import Driver
from ragkit.migration.backfill.engine.engines import Engine, Processes
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.backfill.progress import Progress
from ragkit.migration.backfill.throttle.canary import measure_baseline
from ragkit.migration.plan.backfill import BackfillSection
from ragkit.migration.work.connections import require_connections
from ragkit.migration.work.sweep_state import is_walked
from ragkit.runbook.engines.dask import Dask
from ragkit.runbook.engines.unit import PlanUnit
from ragkit.runbook.runbook import Runbook


def fill(runbook: Runbook) -> Generator[Progress, None, None]:
    """As run_backfill. Where the plan names several workers, they walk the table, and this process
    does what is left then: rows that were locked, what people have written, the audit.

    Raises as Driver.run and run_backfill; ConfigError without the engine's package, or where the
    server has no room for the connections of all.
    """
    migration, embedder = runbook.migration, runbook.new_embedder
    migration.require_phase("backfill")
    engine = _engine(runbook.plan.backfill)
    if engine and not is_walked(migration):
        require_connections(migration, engine.workers + 1)  # this process holds some too
        unit = PlanUnit(runbook.plan, tuple(measure_baseline(migration)))
        yield from Driver(migration, unit, engine).run()
    yield from run_backfill(migration, embedder, runbook.probe_log)


def _engine(section: BackfillSection) -> Engine | None:
    if section.engine == "dask":
        return Dask(section.address, section.workers)
    return Processes(section.workers) if section.workers > 1 else None

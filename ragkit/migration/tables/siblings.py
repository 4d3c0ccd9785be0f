"""The siblings of a migration: other tables of the same params file, and of the same app.

The app is switched once, so no table is cut over before all are ready, none goes back after one of
them is retired, and none is retired while another one may still need the old revision.
"""

from ragkit.database.translate import translate_errors
from ragkit.errors import GateError, PhaseError, SchemaError
from ragkit.migration import ledger, phases
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.verdict import recheck_verdict, require_go

SWITCHED = (phases.CUT_OVER, phases.RETIRED)


def ready_siblings(migration: Migration) -> list[Migration]:
    """Those that are still to be cut over, by the gates of a cut-over checked again now.

    Raises GateError, which tells every one that is not ready, or DatabaseError.
    """
    ready, faults = [], []
    for plan in migration.plan.siblings:
        if phase_of(migration, plan) in SWITCHED:
            continue
        try:
            sibling = Migration.open(plan, migration.engine)
            sibling.require_phase("cut over")
            require_go(recheck_verdict(sibling), plan.gates.override)
            ready.append(sibling)
        except (GateError, PhaseError, SchemaError) as error:
            faults.append(f"{plan.name}: {error}")
    if faults:
        raise GateError(
            f"the app is switched once for all tables, and not all are ready: {'; '.join(faults)}; "
            "nothing was switched"
        )
    return ready


def require_way_back(migration: Migration) -> None:
    """Raises PhaseError when a sibling has no old column any more, or DatabaseError."""
    if retired := _in_phase(migration, phases.RETIRED):
        raise PhaseError(
            f"roll back is refused: {', '.join(retired)} is retired, and the app goes back for all "
            "tables or for none; nothing was changed"
        )


def require_cut_over(migration: Migration) -> None:
    """Raises GateError when a sibling is not cut over, or DatabaseError."""
    switched = _in_phase(migration, *SWITCHED)
    names = [plan.name for plan in migration.plan.siblings]
    if waiting := [name for name in names if name not in switched]:
        raise GateError(
            f"retire is refused: {', '.join(waiting)} is not cut over, and the app goes back for "
            "all tables or for none; nothing was changed"
        )


def phase_of(migration: Migration, plan: Plan) -> str:
    """Of a sibling, by the ledger that all share. Raises DatabaseError."""
    with translate_errors("reading the phase"), migration.engine.connect() as connection:
        return ledger.phase(connection, plan.migration_id)


def _in_phase(migration: Migration, *expected: str) -> list[str]:
    siblings = migration.plan.siblings
    return [plan.name for plan in siblings if phase_of(migration, plan) in expected]

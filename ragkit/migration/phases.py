"""The phases of a migration as a state machine: which phase may follow which, and which phase a
step needs."""

from ragkit.errors import PhaseError

PLANNED, EXPANDED, BACKFILLED, COMPARED = "planned", "expanded", "backfilled", "compared"
CUT_OVER, ROLLED_BACK, RETIRED = "cut over", "rolled back", "retired"

COMPLETE = (BACKFILLED, COMPARED)
"""Phases in which the new column is filled, and no app has been given it."""

FOLLOWERS: dict[str, tuple[str, ...]] = {
    PLANNED: (EXPANDED,),
    EXPANDED: (BACKFILLED,),
    BACKFILLED: (COMPARED, CUT_OVER),
    COMPARED: (CUT_OVER,),
    CUT_OVER: (ROLLED_BACK, RETIRED),
    ROLLED_BACK: (CUT_OVER,),
    RETIRED: (),
}
"""By phase, the phases that may be entered from it. A phase may also be entered again; a cut-over
without a comparison needs an override."""

BOTH_KEPT = (CUT_OVER, ROLLED_BACK)
"""Phases in which a changed text clears the old vector too, and a follower fills both columns."""

NEXT_STEPS = {
    PLANNED: "expand and backfill (notebook 02)",
    EXPANDED: "continue the backfill (notebook 02)",
    BACKFILLED: "compare old and new (notebook 03)",
    COMPARED: "cut over (notebook 04)",
    CUT_OVER: "watch; then retire (05), or roll back (90)",
    ROLLED_BACK: "find the cause; then cut over again (04)",
    RETIRED: "none: the migration is complete",
}

NEEDED: dict[str, tuple[str, ...]] = {
    "backfill": (EXPANDED, BACKFILLED, COMPARED, CUT_OVER, ROLLED_BACK, RETIRED),
    "rescue": (PLANNED, EXPANDED, BACKFILLED, COMPARED),
    "compare": (EXPANDED, BACKFILLED, COMPARED, CUT_OVER, ROLLED_BACK),
    "cut over": (BACKFILLED, COMPARED, CUT_OVER, ROLLED_BACK),
    "roll back": (EXPANDED, BACKFILLED, COMPARED, CUT_OVER, ROLLED_BACK),
    "retire": (CUT_OVER, RETIRED),
}
"""By step, the phases in which it may run. After `retired`, a backfill still fills new rows. A
rollback does not wait for the ledger to know of the cut-over, which may have been killed."""


def require_phase(step: str, phase: str) -> None:
    """Raises PhaseError when `step` may not run in `phase`."""
    if phase not in NEEDED[step]:
        raise PhaseError(
            f"{step} needs the phase {_either(NEEDED[step])}, this migration is {phase!r}; "
            f"the next step is: {NEXT_STEPS[phase]}"
        )


def require_transition(current: str, entered: str) -> None:
    """Raises PhaseError when `entered` may not follow `current`."""
    if entered not in (current, *FOLLOWERS[current]):
        raise PhaseError(
            f"the phase {entered!r} cannot follow {current!r}; "
            f"the next step is: {NEXT_STEPS[current]}"
        )


def _either(phases: tuple[str, ...]) -> str:
    return " or ".join(repr(phase) for phase in phases)

"""Cut over and roll back: gates, the app's switch with its smoke test, the ledger.

Nothing here holds a lock or calls a model inside a transaction.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from ragkit.deploy.app import App, Revision
from ragkit.errors import AppNotRecognised, DeployError
from ragkit.migration import phases
from ragkit.migration.control.steering import require_not_postponed
from ragkit.migration.exclusive import exclusive
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import allow_missing_old, keep_old_column_current
from ragkit.migration.serving.confirmation import CONFIRMED
from ragkit.migration.swap.swap import measure_window, swap
from ragkit.migration.tables.siblings import ready_siblings, require_way_back
from ragkit.migration.verdict import Verdict, require_go
from ragkit.migration.versioned_view.view import make_view

OWN_APPS = ("manual", "command", "none")
"""Targets whose app ragkit does not know: it may write rows."""


@dataclass(frozen=True)
class TrafficSwitch:
    """What serves now, its answer to the smoke question, and whether it served before."""

    revision: Revision
    answer: str
    already: bool


def cut_over(migration: Migration, app: App, verdict: Verdict, question: str) -> TrafficSwitch:
    """Gives the traffic to the new model; `question` is the smoke test's.

    Of several tables that one app searches, each is ready before any is cut over: the first one
    switches the app, and the others find that it serves them. Safe to repeat. Raises ConfigError
    when the plan does not name its database, PhaseError, GateError when the verdict is not GO and
    the plan holds no override, or a sibling is not ready, or DeployError when the new revision does
    not answer. The old revision then still serves.
    """
    migration.require_named_database("cut over")
    with exclusive(migration, "cut over", with_siblings=True):
        migration.require_phase("cut over")
        require_not_postponed(migration)
        return _cut_over(migration, app, verdict, question)


def _cut_over(migration: Migration, app: App, verdict: Verdict, question: str) -> TrafficSwitch:
    plan = migration.plan
    if plan.gates.override:
        migration.record("override", reason=plan.gates.override, verdict=verdict.verdict)
    require_go(verdict, plan.gates.override)
    together = [migration, *ready_siblings(migration)]
    for one in together:
        allow_missing_old(one)
        if plan.app.target in OWN_APPS:  # a new revision may write before it is seen to serve
            keep_old_column_current(one, f"the {plan.app.way}")
        if plan.app.way == "view":
            make_view(one)
    switch = switch_traffic(
        app, plan.new.model, question, reuse=False, prepare=_swap_of(migration, app)
    )
    if not switch.already or migration.phase() != phases.CUT_OVER:
        migration.record(phases.CUT_OVER, **_detail(migration, switch))
    for one in together:
        keep_old_column_current(one)
    return switch


def roll_back(migration: Migration, app: App, question: str) -> TrafficSwitch:
    """Gives the traffic back to the newest revision of the old model.

    Raises PhaseError, for example after the retirement of this table or of a sibling, or
    DeployError.
    """
    with exclusive(migration, "roll back", with_siblings=True):
        phase = migration.require_phase("roll back")
        require_way_back(migration)
        prepare = _swap_of(migration, app, back=True)
        old = migration.plan.old.model
        switch = switch_traffic(app, old, question, reuse=True, prepare=prepare)
        if phase == phases.CUT_OVER:
            migration.record(phases.ROLLED_BACK, **_detail(migration, switch))
    return switch


def _swap_of(migration: Migration, app: App, *, back: bool = False) -> Callable[[], object]:
    """The last thing before the app is switched, so that the window is short."""
    if migration.plan.app.way != "swap":
        return lambda: None
    return lambda: swap(migration, app, back=back)


def switch_traffic(
    app: App,
    model: str,
    question: str,
    *,
    reuse: bool,
    prepare: Callable[[], object] = lambda: None,
) -> TrafficSwitch:
    """To the model, unless it serves already; `reuse`: to its newest revision, if there is one.
    Raises DeployError when the revision does not answer `question` as the one before, or what
    `prepare` raises."""
    serving = _serving_or_none(app)
    if serving and serving.model == model and not app.is_split():
        return TrafficSwitch(serving, app.smoke_test(question, model), already=True)
    fields = _current_fields(app, serving, question)
    prepare()
    revision, answer = app.switch(
        model, lambda revision: app.smoke_test(question, model, fields, revision), reuse=reuse
    )
    return TrafficSwitch(revision, answer, already=False)


def _serving_or_none(app: App) -> Revision | None:
    """An app that does not answer, or not as expected, may be what the switch is to mend."""
    try:
        return app.serving()
    except AppNotRecognised:
        return None


def _current_fields(app: App, serving: Revision | None, question: str) -> Collection[str]:
    """The fields that the app answers now, which the next revision must answer too; none when it
    does not answer, for example because its model is retired."""
    if serving is None:
        return ()
    try:
        return app.fields(app.smoke_test(question, serving.model))
    except DeployError:
        return ()


def _detail(migration: Migration, switch: TrafficSwitch) -> dict[str, object]:
    """What the ledger keeps of a switch."""
    window = measure_window(migration) if migration.plan.app.way == "swap" else {}
    if migration.plan.app.target == "none":
        return {CONFIRMED: switch.revision.name, **window}
    return {"revision": switch.revision.name, **window}

"""Cut over and roll back: gates, a revision without traffic, a smoke test, then the traffic.

Nothing here holds a lock or calls a model inside a transaction, and no traffic is moved before
the revision has answered.
"""

from collections.abc import Collection
from dataclasses import dataclass

from ragkit.deploy.app import App, Revision
from ragkit.deploy.smoke_test import result_fields, run_smoke_test
from ragkit.errors import DeployError
from ragkit.migration import phases
from ragkit.migration.exclusive import exclusive
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import allow_missing_old, keep_old_column_current
from ragkit.migration.verdict import Verdict, require_go


@dataclass(frozen=True)
class TrafficSwitch:
    """What serves now, its answer to the smoke question, and whether it served before."""

    revision: Revision
    answer: str
    already: bool


def cut_over(migration: Migration, app: App, verdict: Verdict, question: str) -> TrafficSwitch:
    """Gives the traffic to the new model; `question` is the smoke test's.

    Raises ConfigError when the plan does not name its database, PhaseError, GateError when the
    verdict is not GO and the plan holds no override, or DeployError when the new revision does not
    answer. The old revision then still serves.
    """
    migration.require_named_database("cut over")
    with exclusive(migration, "cut over"):
        migration.require_phase("cut over")
        return _cut_over(migration, app, verdict, question)


def _cut_over(migration: Migration, app: App, verdict: Verdict, question: str) -> TrafficSwitch:
    plan = migration.plan
    if plan.gates.override:
        migration.record("override", reason=plan.gates.override, verdict=verdict.verdict)
    require_go(verdict, plan.gates.override)
    allow_missing_old(migration)
    switch = _switch(app, plan.new.model, question, reuse=False)
    if not switch.already or migration.phase() != phases.CUT_OVER:
        migration.record(phases.CUT_OVER, revision=switch.revision.name)
    keep_old_column_current(migration)
    return switch


def roll_back(migration: Migration, app: App, question: str) -> TrafficSwitch:
    """Gives the traffic back to the newest revision of the old model.

    Raises PhaseError, for example after the retirement, or DeployError.
    """
    with exclusive(migration, "roll back"):
        phase = migration.require_phase("roll back")
        switch = _switch(app, migration.plan.old.model, question, reuse=True)
        if phase == phases.CUT_OVER:
            migration.record(phases.ROLLED_BACK, revision=switch.revision.name)
    return switch


def _switch(app: App, model: str, question: str, *, reuse: bool) -> TrafficSwitch:
    """`reuse`: a kept revision of the model is started again instead of building one."""
    serving = app.serving()
    if serving and serving.model == model:
        with app.client() as client:
            return TrafficSwitch(serving, run_smoke_test(client, question, model), already=True)
    fields = _current_fields(app, serving, question)
    kept = [revision for revision in app.revisions() if revision.model == model]
    if kept and reuse:
        revision = kept[-1]
        app.start(revision)
    else:
        revision = app.stage(model)
    try:
        with app.client(revision) as client:
            run_smoke_test(client, question, model, fields)
        app.promote(revision)
    finally:
        app.discard(revision)
    with app.client() as client:
        return TrafficSwitch(
            revision, run_smoke_test(client, question, model, fields), already=False
        )


def _current_fields(app: App, serving: Revision | None, question: str) -> Collection[str]:
    """The fields that the app answers now, which the next revision must answer too; none when it
    does not answer, for example because its model is retired."""
    if serving is None:
        return ()
    try:
        with app.client() as client:
            return result_fields(run_smoke_test(client, question, serving.model))
    except DeployError:
        return ()

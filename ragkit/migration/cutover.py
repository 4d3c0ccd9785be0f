"""Cut over and roll back: gates, a revision without traffic, a smoke test, then the traffic.

Nothing here holds a lock or calls a model inside a transaction, and nothing is switched before
the new revision has answered.
"""

from dataclasses import dataclass

from ragkit.app import App, Revision
from ragkit.app.smoke import smoke
from ragkit.database import plain_errors
from ragkit.migration import ledger
from ragkit.migration.schema import keep_old_current
from ragkit.migration.subject import Migration
from ragkit.migration.verdict import Verdict, require_go


@dataclass(frozen=True)
class Switched:
    """What serves now, what it answered to the smoke question, and whether it did before."""

    revision: Revision
    answer: str
    already: bool


def cut_over(migration: Migration, app: App, verdict: Verdict) -> Switched:
    """Raises GateError when the verdict is not GO and the plan holds no override, DeployError
    when the new revision does not answer; in both cases the old one serves on."""
    plan = migration.plan
    if plan.override:
        _record(migration, "override", reason=plan.override, verdict=verdict.verdict)
    require_go(verdict, plan.override)
    switched = _switch(migration, app, plan.new_model, fresh=True)
    if not switched.already or _phase(migration) != ledger.CUT_OVER:
        _record(migration, ledger.CUT_OVER, revision=switched.revision.name)
    keep_old_current(migration)
    return switched


def roll_back(migration: Migration, app: App) -> Switched:
    """Back to the newest revision of the old model. Raises DeployError."""
    switched = _switch(migration, app, migration.plan.old_model, fresh=False)
    if _phase(migration) == ledger.CUT_OVER:
        _record(migration, ledger.ROLLED_BACK, revision=switched.revision.name)
    return switched


def _switch(migration: Migration, app: App, model: str, *, fresh: bool) -> Switched:
    question = migration.plan.smoke_question
    serving = app.serving()
    if serving and serving.model == model:
        with app.client() as client:
            return Switched(serving, smoke(client, question, model), already=True)
    kept = [revision for revision in app.revisions() if revision.model == model]
    if kept and not fresh:
        revision = kept[-1]
        app.start(revision)
    else:
        revision = app.stage(model)
    try:
        with app.client(revision) as client:
            smoke(client, question, model)
        app.promote(revision)
    finally:
        app.discard(revision)
    with app.client() as client:
        return Switched(revision, smoke(client, question, model), already=False)


def _phase(migration: Migration) -> str:
    with plain_errors("reading the ledger"), migration.engine.connect() as connection:
        return ledger.phase(connection, migration.id)


def _record(migration: Migration, kind: str, **detail: object) -> None:
    with plain_errors("writing the ledger"), migration.engine.begin() as connection:
        migration.record(connection, kind, **detail)

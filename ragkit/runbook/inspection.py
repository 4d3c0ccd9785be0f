"""What a runbook meets, and everything that it will do: looked at once, when it is first asked."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from ragkit.deploy.app import App
from ragkit.deploy.project_checks import Check
from ragkit.embedding.embedder import Embedder
from ragkit.errors import ConfigError, DeployError
from ragkit.migration.inspection.readiness import check_readiness
from ragkit.migration.inspection.whose.identification import Identification, identify
from ragkit.migration.inspection.whose.vector_sample import sample_old
from ragkit.migration.inspection.wide.offers import check_width
from ragkit.migration.migration import Migration
from ragkit.migration.preview.figures import Measured, measure
from ragkit.migration.preview.preview import Preview, make_preview
from ragkit.migration.preview.recommendation import recommend
from ragkit.runbook.models.keys import readable_keys


@dataclass(frozen=True)
class Inspection:
    """`old` is None when the old model cannot be called. `app` opens an app of somebody else's;
    None where ragkit deploys it. Every property may raise ModelError or DatabaseError."""

    migration: Migration
    new: Embedder
    old: Embedder | None
    app: Callable[[], App] | None

    @cached_property
    def identification(self) -> Identification:
        """Whose vectors the old column holds."""
        plan = self.migration.plan
        names, env = (plan.old.model, plan.new.model), readable_keys(plan, os.environ)
        return identify(sample_old(self.migration), names, plan.facts, env)

    @cached_property
    def measured(self) -> Measured:
        """What the backfill will take."""
        return measure(self.migration, self.new)

    @cached_property
    def checks(self) -> list[Check]:
        """What is still missing, and what is to know."""
        checks = check_readiness(
            self.migration, self.old, self.new, self.measured.cost, self.identification,
            datetime.now(UTC).date(),
        )  # fmt: skip
        checks += check_width(self.migration, self.new)
        checks += recommend(self.migration, self.measured)
        checks += self._judgements()
        return [*checks, _check_app(self.app)] if self.app else checks

    def _judgements(self) -> list[Check]:
        """How many a verdict takes."""
        from ragkit.evaluation.judging.effort import (
            estimate_effort,  # loads what a comparison needs
        )
        from ragkit.runbook.questions import check_floor, check_judgements

        if self.old is None:
            return [check_floor(self.migration)]
        effort = estimate_effort(self.migration, self.new)
        return [check_judgements(self.migration, effort)] if effort else []

    @cached_property
    def preview(self) -> Preview:
        """Everything that will happen."""
        return make_preview(self.migration, self.measured, self.checks)


def _check_app(open_app: Callable[[], App]) -> Check:
    """Whether the app answers as the plan says, which the cut-over needs."""
    try:
        serving = open_app().serving()
    except (ConfigError, DeployError) as error:
        return Check("app", str(error), False, "before the cut-over, correct app and check")
    if serving is None:
        return Check("app", "its /healthz names no model", None, "set app.url and check.field")
    return Check("app", f"serves {serving.model}", True)

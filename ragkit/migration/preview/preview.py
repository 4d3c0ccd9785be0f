"""The preview of a migration as one document, for a reviewer and for a machine."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from humanize import naturaldelta

from ragkit.database.types import vector_type
from ragkit.deploy.canary.limits import Limits
from ragkit.deploy.canary.needed import describe
from ragkit.deploy.project_checks import Check
from ragkit.migration.backfill.batch.preparing import is_by_jobs
from ragkit.migration.inspection.inventory import TextStatistics
from ragkit.migration.inspection.rules import Finding, findings
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.plan.section import Section
from ragkit.migration.preview.figures import Figures, Measured
from ragkit.migration.preview.fingerprint import Fingerprint
from ragkit.migration.preview.steps import NONE, Statement, plan_statements

FORMAT = 1
"""Of the JSON document."""


@dataclass(frozen=True)
class Limit:
    """A gate of the verdict, or a test of the canary, with its limit, as the plan sets it."""

    gate: str
    limit: str
    meaning: str


@dataclass(frozen=True)
class Preview:
    """`plan` is the whole plan as plain data; `visible`: what the app and its users will see."""

    made_at: str
    database: str
    migration: str
    figures: Figures
    texts: TextStatistics
    statements: list[Statement]
    visible: list[str]
    findings: list[Finding]
    limits: list[Limit]
    plan: dict[str, Any]
    fingerprint: Fingerprint

    @property
    def on_the_table(self) -> list[Statement]:
        """The statements that take a lock on the user's table."""
        return [statement for statement in self.statements if statement.lock != NONE]

    def as_json(self) -> dict[str, Any]:
        return {"format": FORMAT, **asdict(self)}


def make_preview(migration: Migration, measured: Measured, checks: Sequence[Check]) -> Preview:
    """Changes nothing. `checks` are those of readiness. Raises ModelError or DatabaseError."""
    figures = measured.figures
    by_jobs = "at most" if is_by_jobs(migration) else "about"
    backfill = f"{by_jobs} {naturaldelta(60 * figures.backfill_minutes)}"
    build = f"about {naturaldelta(60 * figures.index_minutes)}"
    return Preview(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        database=migration.database,
        migration=migration.id,
        figures=figures,
        texts=measured.texts,
        statements=plan_statements(migration, backfill, build),
        visible=list(_visible(migration)),
        findings=findings(list(checks)),
        limits=list(_limits(migration.plan)),
        plan=_named_plan(migration),
        fingerprint=Fingerprint.of(migration),
    )


def _named_plan(migration: Migration) -> dict[str, Any]:
    """With the name of the database, so that no environment leads it to another one."""
    plan: dict[str, Any] = migration.plan.model_dump(mode="json", by_alias=True)
    plan["database"]["expect"] = migration.database
    return plan


def _visible(migration: Migration) -> Iterator[str]:
    plan, table = migration.plan, migration.plan.table.qualified_name
    kind = vector_type(migration.new.space.dimension).get_col_spec().lower()
    if migration.new_side:
        yield f"a side table, {migration.new_side.name}, with a {kind} for each row; no new column"
        yield f"four triggers on {table}, and the schema ragkit, which all may use"
    else:
        yield f"SELECT * and RETURNING * show one more column, {plan.new.column} {kind}"
        yield f"two triggers on {table}, and the schema ragkit, which all may use"
    yield "the app's answers stay the same until the cut-over"
    if plan.app.target == "cloud":
        yield from describe(Limits(**plan.canary.model_dump()), tuple(plan.app.canary))
    yield f"after the cut-over the app answers by {plan.new.model}; {plan.old.column} stays"


def _limits(plan: Plan) -> Iterator[Limit]:
    """Those of the verdict, and of a canary where there is one."""
    yield from _of_section(plan.gates, "")
    if plan.app.target == "cloud" and plan.app.canary:
        yield from _of_section(plan.canary, "canary.")


def _of_section(section: Section, prefix: str) -> Iterator[Limit]:
    for name, info in type(section).model_fields.items():
        if name != "override":
            yield Limit(prefix + name, f"{getattr(section, name)}", str(info.description))

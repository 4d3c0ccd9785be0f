"""The Plan: the parameters of one migration, in sections, validated together.

No field holds a secret: passwords come from the environment (DB_PASS, DB_PASS_SECRET).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from pydantic import Field, PrivateAttr, TypeAdapter, ValidationError

from ragkit.checkout import ROOT
from ragkit.embedding.catalogue.facts import Facts
from ragkit.embedding.catalogue.names import split_dimension
from ragkit.errors import PlanError
from ragkit.migration.plan.app import AppSection, CanarySection, CheckSection
from ragkit.migration.plan.backfill import BackfillSection
from ragkit.migration.plan.data import (
    ColumnSection,
    DatabaseSection,
    IndexSection,
    NewSection,
    OldSection,
    TableSection,
)
from ragkit.migration.plan.files import load
from ragkit.migration.plan.files.faults import describe_faults
from ragkit.migration.plan.judging import JudgingSection
from ragkit.migration.plan.models.facts import ModelFacts
from ragkit.migration.plan.models.named import batch_faults, model_faults
from ragkit.migration.plan.section import Section, fields, is_text
from ragkit.migration.plan.steps import (
    EvaluationSection,
    GatesSection,
    NotifySection,
    RescueSection,
)
from ragkit.retrieval.space import LONG_TEXTS


class Plan(Section):
    """One migration: one table, from the old model and column to the new ones. It may have
    siblings: the plans of the other tables that the same app searches."""

    database: DatabaseSection = Field(default_factory=DatabaseSection)
    table: TableSection
    old: OldSection
    new: NewSection
    index: IndexSection = Field(default_factory=IndexSection)
    backfill: BackfillSection = Field(default_factory=BackfillSection)
    rescue: RescueSection = Field(default_factory=RescueSection)
    evaluation: EvaluationSection = Field(default_factory=EvaluationSection)
    judging: JudgingSection = Field(default_factory=JudgingSection)
    gates: GatesSection = Field(default_factory=GatesSection)
    app: AppSection = Field(default_factory=AppSection)
    canary: CanarySection = Field(default_factory=CanarySection)
    check: CheckSection = Field(default_factory=CheckSection)
    notify: NotifySection = Field(default_factory=NotifySection)
    model_facts: dict[str, ModelFacts] = Field(default_factory=dict)
    _siblings: tuple["Plan", ...] = PrivateAttr(())
    _number: int = PrivateAttr(1)
    _name: str = PrivateAttr("")

    @classmethod
    def of(cls, values: Mapping[str, object], overrides: Sequence[str] = ()) -> Self:
        """A plan from sections; `overrides` are texts such as "gates.margin=0.001".

        Raises PlanError with all faults.
        """
        texts = {path for path, field in fields(cls) if is_text(field)}
        merged, faults = load.apply_overrides(values, overrides, texts)
        plan = None
        try:
            plan = cls.model_validate(merged)
        except ValidationError as error:
            faults += describe_faults(cls, error)
        faults += cls._disagreements(merged)
        if plan is None or faults:
            raise PlanError(faults) from None
        return plan

    @classmethod
    def from_file(cls, path: Path, overrides: Sequence[str] = ()) -> Self:
        """A plan from a params file. Raises PlanError with all faults."""
        return cls.of(load.read_sections(path), overrides)

    @property
    def migration_id(self) -> str:
        """What the ledger calls this migration."""
        part = f" where {self.table.where}" if self.table.where else ""
        columns = f"{self.old.declared} -> {self.new.declared}"
        return f"{self.table.qualified_name}: {columns}{part}"

    @property
    def facts(self) -> Facts:
        """What the plan says about models."""
        facts = {name: section.given for name, section in self.model_facts.items()}
        if self.backfill.mode == "batch" and (folder := self.backfill.batch_folder):
            name = split_dimension(self.new.model)[0]
            facts[name] = {**facts.get(name, {}), "batch_folder": folder}
        return facts

    @property
    def siblings(self) -> tuple["Plan", ...]:
        """Of the same params file: they share its budget, and are switched together with this."""
        return self._siblings

    @property
    def number(self) -> int:
        """Of the table in its params file, from 1."""
        return self._number

    @property
    def name(self) -> str:
        """The table among those of the params file, in a few words."""
        return self._name or self.table.qualified_name

    def among(self, number: int, name: str) -> Self:
        """With its number and its name in the params file."""
        plan = self.model_copy()
        plan._number, plan._name = number, name
        return plan

    def beside(self, siblings: Sequence["Plan"]) -> Self:
        """With these siblings."""
        plan = self.model_copy()
        plan._siblings = tuple(siblings)
        return plan

    def template(self, side: ColumnSection) -> str:
        """What a column's vectors are made from, as the contract has it."""
        texts = f"{self.table.text_table}." if self.table.text_table else ""
        return texts + self.table.content + LONG_TEXTS[side.long_texts]

    def reversed(self) -> Self:
        """The way back: from the new model and column to the old ones."""
        shared = {"model", "column", "long_texts", "placement"}
        old = OldSection(**self.new.model_dump(include=shared))
        # without validation: an old model may be one that cannot be called
        new = NewSection.model_construct(**self.old.model_dump(include=shared))
        old._declared, new._declared = self.new.declared, self.old.declared
        # what comes after the cut-over is not for a batch API
        backfill = self.backfill.model_copy(update={"mode": "live"})
        back = self.model_copy(update={"old": old, "new": new, "backfill": backfill})
        return back.beside([sibling.reversed() for sibling in self.siblings])

    def renamed(self, old: str, new: str) -> Self:
        """With the names that the two columns have now."""
        sections = {"old": self.old.renamed(old), "new": self.new.renamed(new)}
        return self.model_copy(update=sections)

    @classmethod
    def _disagreements(cls, values: Mapping[str, object]) -> Iterator[str]:
        """Faults between sections, as far as each of them is valid."""
        valid: dict[str, Any] = {}
        for name, info in cls.model_fields.items():
            with suppress(ValidationError):
                section = TypeAdapter(info.rebuild_annotation())
                valid[name] = section.validate_python(values.get(name, {}))
        names = ("table", "old", "new", "database", "app")
        table, old, new, database, app = map(valid.get, names)
        if "model_facts" in valid:
            facts = {name: section.given for name, section in valid["model_facts"].items()}
            yield from model_faults(old, new, facts)
            if new and (backfill := valid.get("backfill")) and backfill.mode == "batch":
                yield from batch_faults(new, facts, backfill.batch_folder)
        if old and new and old.column == new.column:
            yield "new.column must differ from old.column: the old column stays as it is"
        if table and ((old and old.is_beside) or (new and new.is_beside)):
            yield from _beside_faults(table)
        if table:
            yield from _text_faults(table)
        if new and new.adopt and new.is_beside:
            yield "new.adopt is for placement: column; a side table is ragkit's own, and new"
        if database and app and app.target == "local" and database.url != "sandbox":
            yield "app.target: local is the sandbox's app; your own database needs another target"
        yield from _ways(valid)
        check = valid.get("check")
        if check and app and check != CheckSection() and app.target not in ("manual", "command"):
            yield f"check is for app.target: manual or command, not {app.target}"
        if check and table and check.matches == "label" and not table.label:
            yield "check.matches: label needs table.label"


def _ways(valid: Mapping[str, Any]) -> Iterator[str]:
    """What app.way needs of other sections, as far as they are valid."""
    app, table = valid.get("app"), valid.get("table")
    if app is None or app.way == "column":
        return
    if app.target not in ("manual", "command", "none"):
        yield f"app.way: {app.way} is for app.target: manual, command or none, not {app.target}"
    for name in ("old", "new"):
        if (side := valid.get(name)) and side.is_beside:
            yield f"app.way: {app.way} needs a column of the table: set {name}.placement: column"
    if app.way == "swap" and table and table.where:
        yield "app.way: swap renames the columns of all rows, not of table.where: use a view"
    if app.way == "view" and table and table.schema_name == app.view_schema:
        yield "app.view_schema must differ from table.schema: the table is there"


def _text_faults(table: TableSection) -> Iterator[str]:
    named = table.text_table, table.text_key, table.text_by
    if any(named) and not all(named):
        yield "table.text_table, table.text_key and table.text_by are set together"
    if table.text_table and table.is_expression:
        yield "table.content must be a column of table.text_table, not an expression"


def _beside_faults(table: TableSection) -> Iterator[str]:
    """A search finds the row of a side table's vector by one column, and its text by another."""
    if len(table.keys) > 1:
        yield "placement: side_table needs a key of one column; use placement: column"
    if table.is_expression or table.text_table:
        yield "placement: side_table needs a content column; use placement: column"
    if table.where:
        yield "placement: side_table is for all rows, not for table.where; use placement: column"


def file_path(name: str) -> Path:
    """A file that a plan names; a relative one is in the checkout, wherever a kernel runs."""
    return ROOT / Path(name).expanduser()

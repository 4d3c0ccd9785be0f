"""The first command on a database: look, ask, write a params file, say what is still missing."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from ragkit.checkout import ROOT
from ragkit.database.engine import engine_from_env
from ragkit.errors import PlanError, SchemaError
from ragkit.migration.discovery.answers import Answers, Ask, answer_nothing
from ragkit.migration.discovery.params_file import render, write
from ragkit.migration.discovery.proposal import propose
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.plan.data import DatabaseSection
from ragkit.migration.plan.files.faults import describe_faults


@dataclass(frozen=True)
class Initialised:
    """The file that was written, what was found, and what the database lacks: lines to paste
    before the backfill; "" when nothing does."""

    params: Path
    notes: list[str]
    missing: str


def initialise(
    url: str = "env",
    answers: Answers | None = None,
    ask: Ask = answer_nothing,
    output: str = "",
    *,
    replace: bool = False,
    env: Mapping[str, str] = os.environ,
) -> Initialised:
    """Writes params/TABLE.yaml, or `output`, in the checkout. `url` is as the plan's database.url,
    except that there is nothing to find out about the sandbox. Changes nothing in the database.

    Raises ConfigError, which names what must be given, SchemaError when no table can be migrated,
    or DatabaseError. Nothing is written then.
    """
    try:
        DatabaseSection(url=url)
    except ValidationError as error:
        faults = describe_faults(Plan, error)
        raise PlanError([f"database.{fault}" for fault in faults]) from None
    engine = engine_from_env(env if url == "env" else {**env, "DATABASE_URL": url})
    try:
        proposal = propose(engine, url, answers or Answers(), ask)
        plan = Plan.of(proposal.sections)
        path = ROOT / (output or f"params/{_file_name(plan.table.name)}.yaml")
        write(path, render(proposal, datetime.now(UTC).date()), replace=replace)
        missing = ""
        try:
            Migration.open(Plan.from_file(path), engine)
        except SchemaError as error:
            missing = str(error)
        return Initialised(path, proposal.notes, missing)
    finally:
        engine.dispose()


def _file_name(table: str) -> str:
    """A table may have any name, also one that leads elsewhere."""
    return re.sub(r"[^\w. -]", "_", table).lstrip(".") or "table"

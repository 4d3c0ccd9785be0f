"""The faults of a plan as one line each: what was expected, what was found, what to do."""

import difflib
from collections.abc import Iterator

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ragkit.migration.plan.section import fields

FLAT_FIELDS = {
    "database": "database.url", "table_schema": "table.schema", "table": "table.name",
    "key": "table.key", "content": "table.content", "label": "table.label",
    "category": "table.category", "old_model": "old.model", "old_column": "old.column",
    "new_model": "new.model", "new_column": "new.column", "distance": "table.distance",
    "index_type": "index.type", "index_memory_mb": "index.memory_mb",
    "index_workers": "index.workers", "batch_size": "backfill.batch_size",
    "questions": "evaluation.questions", "qrels": "evaluation.qrels", "k": "evaluation.k",
    "cutoff": "evaluation.cutoff", "carry_cutoff": "evaluation.carry_cutoff",
    "shadow_log": "evaluation.shadow_log", "lock_timeout_ms": "database.lock_timeout_ms",
    "ddl_seconds": "database.ddl_seconds", "slow_factor": "backfill.slow_factor",
    "model_seconds": "backfill.model_seconds",
    "requests_per_minute": "backfill.requests_per_minute",
    "tokens_per_minute": "backfill.tokens_per_minute", "budget_usd": "backfill.budget_usd",
    "gate_set_aside": "gates.dead_letters", "gate_claim": "gates.claim",
    "gate_margin": "gates.margin", "gate_ndcg_floor": "gates.ndcg_floor",
    "gate_index_recall": "gates.index_recall", "gate_p95_ms": "gates.p95_ms",
    "app": "app.target", "app_url": "app.url", "app_port": "app.port",
    "function": "app.function", "service_account": "app.service_account",
    "db_secret": "app.db_secret", "allow_unauthenticated": "app.allow_unauthenticated",
    "canary": "app.canary", "apply": "app.apply", "smoke_question": "app.smoke_question",
    "override": "gates.override", "retire": "old.retire", "seed": "evaluation.seed",
}  # fmt: skip
"""The fields of version 0.1, which had no sections, and where they are now."""

MAY_HOLD_A_SECRET = (
    ".url", "database.direct", "check.path", "check.authorization_env", "app.deploy",
    "app.roll_back", ".key_env",
)  # fmt: skip
"""Ends of the paths of fields into which a password or a key may have been typed."""


def describe_faults(plan: type[BaseModel], error: ValidationError) -> Iterator[str]:
    """One line for each fault; a value that may hold a secret is never repeated."""
    places = [path for path, _ in fields(plan)]
    sections = {place.partition(".")[0] for place in places}
    for detail in error.errors():
        yield _describe(detail, places, sections)


def _describe(detail: ErrorDetails, places: list[str], sections: set[str]) -> str:
    path = ".".join(str(part) for part in detail["loc"])
    value, moved = detail["input"], FLAT_FIELDS.get(path)
    match detail["type"]:
        case "extra_forbidden" if moved:
            return f"{path!r} is now {moved}"
        case "extra_forbidden":
            return f"unknown field {path!r}{_suggestion(path, places, sections)}"
        case "missing":
            return f"{path} is required"
        case "model_type" | "model_attributes_type":
            hint = f"; the value of version 0.1 is now {moved}" if moved else ""
            return f"{path}: expected a section of fields, got {type(value).__name__}{hint}"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "value_error" and isinstance(value, dict):  # a check of a section
        return f"{path}.{message}"
    secret = path.endswith(MAY_HOLD_A_SECRET) or "://" in str(value)
    return f"{path}: {message}" + ("" if secret else f", got {value!r}")


def _suggestion(path: str, places: list[str], sections: set[str]) -> str:
    """The nearest field of the same section, else the same field of another, else a section."""
    section, dot, field = path.rpartition(".")
    if not dot:
        close = difflib.get_close_matches(path, [*sections, *places], n=1)
        close = close or [p for p in places if _field(p) == path]
    else:
        siblings = {_field(p): p for p in places if p.startswith(f"{section}.")}
        near = difflib.get_close_matches(field, siblings, n=1)
        close = [siblings[name] for name in near] or [p for p in places if _field(p) == field]
    return f" (did you mean {close[0]}?)" if close else ""


def _field(path: str) -> str:
    return path.partition(".")[2]

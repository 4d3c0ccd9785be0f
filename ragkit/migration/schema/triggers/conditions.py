"""The conditions of the triggers, and the functions of the plan's expressions that they call: a
condition cannot hold a query."""

from ragkit.database.identifiers import quote_identifier
from ragkit.migration.migration import Migration
from ragkit.migration.schema.triggers.queueing import function_name
from ragkit.retrieval.space import READY

KINDS = ("content", "content strict", "where", "where strict")
"""Of functions."""


def functions_sql(migration: Migration) -> list[str]:
    content, where = migration.terms.content, migration.terms.where
    names = [function_name(kind, migration) for kind in KINDS]
    return [
        *content.function_sql(*names[:2]),
        *(where.function_sql(*names[2:]) if where else ()),
    ]


def conditions(migration: Migration) -> dict[str, str]:
    """`is_changed`: a vector that is there may be of another text. Nobody has watched the text of a
    row that comes into the filter; but its old vector is the app's own, which it serves.
    `is_pending`: a vector is missing."""
    content, where = migration.terms.content, migration.terms.where
    before, after = (content.called(function_name("content", migration), r) for r in ("old", "new"))
    is_changed = f"{before} is distinct from {after}"
    is_pending = f"new.{quote_identifier(migration.plan.new.column)} is null"
    if where:
        before, after = (where.called(function_name("where", migration), r) for r in ("old", "new"))
        is_changed = f"({is_changed} and ({before} or {after}))"
        if not (migration.known_new and migration.known_new.state == READY):
            is_changed = f"({is_changed} or {after} and {before} is not true)"
        is_pending = f"{is_pending} and {after}"
    return {"is_changed": is_changed, "is_pending": is_pending}

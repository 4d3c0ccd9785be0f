"""What the columns must be that a plan names."""

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ragkit.migration.partitions.faults import key_advice
from ragkit.migration.plan import Plan
from ragkit.migration.terms.terms import Terms

_HAS_PGVECTOR = sa.text("select exists (select from pg_extension where extname = 'vector')")
_UNIQUE = sa.text("""
    select exists (
        select from pg_index i
        where i.indrelid = to_regclass(:table)
          and i.indisunique and i.indisvalid and i.indpred is null
          and i.indnkeyatts = cardinality(cast(:keys as name[]))
          and (select count(*) from pg_attribute a
               where a.attrelid = i.indrelid and a.attnotnull and a.attname = any (:keys)
                 and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
              = i.indnkeyatts)
""")


def missing_columns(
    plan: Plan, terms: Terms, columns: Mapping[str, Any], retired: bool
) -> Iterator[str]:
    """`columns` are those of the table, by name; `retired`: the old one is gone."""
    names = [
        *(("table.key", name) for name in plan.table.keys),
        ("table.content", plan.table.content if terms.content.is_column else ""),
        ("table.text_by", plan.table.text_by),
        ("table.label", plan.table.label),
        ("table.category", plan.table.category),
        ("old.column", "" if retired or plan.old.is_beside else plan.old.column),
    ]
    for field, name in names:
        if name and name not in columns:
            is_content = field == "table.content" and not name.isidentifier()
            hint = "; an expression is written in parentheses" if is_content else ""
            yield f"no column {name!r} (set {field}{hint}); there are: {', '.join(columns)}"
    for field, term in (("table.content", terms.content), ("table.where", terms.where)):
        for name in sorted({plan.old.column, plan.new.column} & set(term.reads if term else ())):
            yield f"{field} reads {name!r}, whose vectors are migrated: leave it out"


def key_and_content(
    connection: sa.Connection, plan: Plan, columns: Mapping[str, Any], regclass: str
) -> Iterator[str]:
    """Of the table `regclass`, which is SQL; its `columns` are by name."""
    if not connection.scalar(_HAS_PGVECTOR):
        yield "the extension pgvector is missing: CREATE EXTENSION vector;"
    keys, content = plan.table.keys, plan.table.content
    names = {"table": regclass, "keys": list(keys)}
    if set(keys) <= columns.keys() and not connection.scalar(_UNIQUE, names):
        kinds = [columns[key].full_type for key in keys]
        loose = [
            f"{k!r} is {t}"
            for k, t in zip(keys, kinds, strict=True)
            if not _has_order(connection, t)
        ]
        advice = key_advice(connection, regclass, keys)
        if loose:
            advice = f"{loose[0]}, a type without an order, which no unique index takes"
        yield f"key {', '.join(map(repr, keys))} is not unique and NOT NULL: {advice}"
    if plan.table.text_table or (column := columns.get(content)) is None:
        return
    if column.type not in ("text", "varchar", "bpchar"):
        yield f"content {content!r} is {column.full_type}, expected text"
    if column.generated:
        yield (
            f"content {content!r} is a generated column, and a BEFORE trigger does not see its "
            "new value: set table.content to the column that it is generated from"
        )


def _has_order(connection: sa.Connection, kind: str) -> bool:
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f"select null::{kind} < null::{kind}")
    except DBAPIError:
        return False
    return True

"""What a reviewed plan was made of: the table, the contract and the code, without ragkit's own."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ragkit.checkout import PACKAGE
from ragkit.database.translate import translate_errors
from ragkit.migration.migration import Migration
from ragkit.migration.schema.statements import index_name
from ragkit.retrieval import contract

_TABLE = sa.text("""
    select 'column ' || quote_ident(a.attname) as name,
           format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else ''
             end as definition
    from pg_attribute a
    where a.attrelid = to_regclass(:table) and a.attnum > 0 and not a.attisdropped
      and a.attname <> :new_column
    union all
    select 'index ' || quote_ident(c.relname), pg_get_indexdef(i.indexrelid)
    from pg_index i join pg_class c on c.oid = i.indexrelid
    where i.indrelid = to_regclass(:table) and c.relname <> :new_index
    union all
    select 'trigger ' || quote_ident(tgname), pg_get_triggerdef(oid) from pg_trigger
    where tgrelid = to_regclass(:table) and not tgisinternal
      and not starts_with(tgname, 'zz_ragkit_')
    union all
    select 'constraint ' || quote_ident(conname), pg_get_constraintdef(oid) from pg_constraint
    where conrelid = to_regclass(:table) and contype <> 'n'  -- since PostgreSQL 18; see columns
    order by 1, 2
""")


@dataclass(frozen=True)
class Fingerprint:
    """`table` and `contract`: definitions by name; `code`: the SHA-256 of ragkit's modules. What
    this migration itself adds to the table is left out, and so is NOT NULL of the old column,
    which the cut-over drops."""

    table: dict[str, str]
    contract: dict[str, str]
    code: str

    @classmethod
    def of(cls, migration: Migration) -> "Fingerprint":
        """Raises DatabaseError."""
        plan = migration.plan
        names = {
            "table": migration.quoted_table, "new_column": plan.new.column,
            "new_index": index_name(migration),
        }  # fmt: skip
        with translate_errors("looking for drift"), migration.engine.connect() as connection:
            table = {row.name: row.definition for row in connection.execute(_TABLE, names)}
            bindings = contract.read_bindings(connection, plan.table.qualified_name)
        own = (plan.old.column, plan.new.column)
        bound = {
            " where ".join(filter(None, (b.column, b.where))): b.space.fingerprint
            for b in bindings
            if b.column not in own or b.where != migration.where
        }
        return cls(_without_old(table, plan.old.column), bound, code_digest())

    def differences(self, now: "Fingerprint") -> list[str]:
        """One text for each thing that is another one `now`."""
        faults = [*_differences(self.table, now.table)]
        faults += (f"contract of {text}" for text in _differences(self.contract, now.contract))
        if self.code != now.code:
            faults.append("the code of ragkit is another one")
        return faults


def code_digest() -> str:
    """Of all modules of ragkit, by their paths."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _without_old(table: dict[str, str], column: str) -> dict[str, Any]:
    """The old column may lose its NOT NULL."""
    return {
        name: definition.removesuffix(" not null")
        if name.partition(" ")[2].strip('"') == column
        else definition
        for name, definition in table.items()
    }


def _differences(then: dict[str, str], now: dict[str, str]) -> Iterator[str]:
    for name in sorted({*then, *now}):
        if name not in now:
            yield f"{name} is gone"
        elif name not in then:
            yield f"{name} is new"
        elif then[name] != now[name]:
            yield f"{name} was {then[name]}, and is {now[name]}"

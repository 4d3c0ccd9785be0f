"""The tables of a database that hold vectors, as the catalogue describes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import translate_errors
from ragkit.migration.schema.statements import OPERATOR_CLASSES
from ragkit.retrieval.contract import SCHEMA

KINDS = {"r": "table", "p": "partitioned table", "v": "view", "m": "materialized view",
         "f": "foreign table"}  # fmt: skip
USABLE = ("table", "partitioned table")
"""Kinds that can be migrated."""
TEXT_TYPES = ("text", "varchar", "bpchar")

_VECTORS = sa.text("""
    select c.oid, n.nspname as schema, c.relname as name, c.relkind::text as kind,
           a.attname as column, a.attnum, a.atttypmod as modifier,
           case when c.relkind <> 'p' then nullif(c.reltuples, -1)::bigint
                else (select sum(nullif(l.reltuples, -1))::bigint
                      from pg_partition_tree(c.oid) p join pg_class l on l.oid = p.relid
                      where p.isleaf)
           end as estimate,
           has_schema_privilege(n.oid, 'USAGE') as usable,
           has_table_privilege(c.oid, 'SELECT') as readable, current_user as role
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'v', 'm', 'f')
    join pg_namespace n on n.oid = c.relnamespace
    join pg_type t on t.oid = a.atttypid and t.typname in ('vector', 'halfvec')
    where not a.attisdropped and n.nspname !~ '^pg_' and n.nspname <> :own
      and not c.relispartition
    order by 2, 3, a.attnum
""")
_COLUMNS = sa.text("""
    select a.attname as name, t.typname as type, a.attgenerated <> '' as generated
    from pg_attribute a join pg_type t on t.oid = a.atttypid
    where a.attrelid = :oid and a.attnum > 0 and not a.attisdropped order by a.attnum
""")
_KEYS = sa.text("""
    select a.attname from pg_index i
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = :oid and i.indisunique and i.indisvalid and i.indpred is null
      and i.indnkeyatts = 1 and a.attnotnull
    order by not i.indisprimary, a.attnum
""")
_COMPOSITE = sa.text("""
    select array_agg(a.attname::text order by k.place) as names from pg_index i
    cross join unnest(i.indkey::int2[]) with ordinality k (attnum, place)
    left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum and a.attnotnull
    where i.indrelid = :oid and i.indisunique and i.indisvalid and i.indpred is null
      and k.place <= i.indnkeyatts
    group by i.indexrelid, i.indisprimary having count(*) > 1 and count(*) = count(a.attname)
    order by not i.indisprimary, count(*), i.indexrelid limit 1
""")
_OPERATOR_CLASSES = sa.text("""
    select o.opcname from pg_index i join pg_opclass o on o.oid = i.indclass[0]
    where i.indrelid = :oid and i.indkey[0] = :attnum and i.indisvalid
""")


@dataclass(frozen=True)
class VectorTable:
    """One vector column with its table; partitions are one table. `kind` is PostgreSQL's word;
    `rows` is an estimate, None before the first ANALYZE.

    `dimension` is None where the type names none. `texts` are the text columns, without generated
    ones; `columns` are all, with the names of their types. `keys`: single columns that are unique
    and NOT NULL, the primary key first; where there is none, `composite` are columns that are
    together, () without any. `grants`: SQL that lets this role read the table, [] when it may.
    `distance` is that of an index on the column, None without one.
    """

    schema: str
    name: str
    column: str
    kind: str
    dimension: int | None
    rows: int | None
    grants: list[str]
    columns: dict[str, str]
    texts: list[str]
    keys: list[str]
    composite: tuple[str, ...]
    distance: str | None

    @property
    def qualified_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def regclass(self) -> str:
        """The name as SQL."""
        return quote_identifier(self.schema, self.name)

    def __str__(self) -> str:
        dimensions = f"{self.dimension} dimensions" if self.dimension else "any dimension"
        if self.kind not in USABLE:
            return f"{self.qualified_name}.{self.column} ({dimensions}, {self.kind})"
        rows = "never analysed" if self.rows is None else f"about {self.rows:,} rows"
        kind = "" if self.kind == "table" else f", {self.kind}"
        return f"{self.qualified_name}.{self.column} ({dimensions}, {rows}{kind})"


def find_tables(engine: sa.Engine) -> list[VectorTable]:
    """Every vector column of the database, those of ragkit's own schema excepted. Reads the
    catalogue only. Raises DatabaseError."""
    with translate_errors("looking for vector columns"), engine.connect() as connection:
        return [_describe(connection, row) for row in connection.execute(_VECTORS, {"own": SCHEMA})]


def _describe(connection: sa.Connection, row: sa.Row[Any]) -> VectorTable:
    columns = connection.execute(_COLUMNS, {"oid": row.oid}).all()
    classes = connection.scalars(_OPERATOR_CLASSES, {"oid": row.oid, "attnum": row.attnum}).all()
    suffixes = {suffix: distance for distance, suffix in OPERATOR_CLASSES.items()}
    keys = list(connection.scalars(_KEYS, {"oid": row.oid}))
    composite = None if keys else connection.scalar(_COMPOSITE, {"oid": row.oid})
    distances = [suffixes.get(name.partition("_")[2]) for name in classes]
    return VectorTable(
        schema=row.schema,
        name=row.name,
        column=row.column,
        kind=KINDS[row.kind],
        dimension=row.modifier if row.modifier > 0 else None,
        rows=row.estimate,
        grants=list(_grants(row)),
        columns={c.name: c.type for c in columns},
        texts=[c.name for c in columns if c.type in TEXT_TYPES and not c.generated],
        keys=keys,
        composite=tuple(composite or ()),
        distance=next(iter(filter(None, distances)), None),
    )


def _grants(row: sa.Row[Any]) -> Iterator[str]:
    role, schema = quote_identifier(row.role), quote_identifier(row.schema)
    if not row.usable:
        yield f"GRANT USAGE ON SCHEMA {schema} TO {role};"
    if not row.readable:
        yield f"GRANT SELECT ON {quote_identifier(row.schema, row.name)} TO {role};"

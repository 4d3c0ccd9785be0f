"""What keeps a partitioned table from being migrated."""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.migration.partitions.tree import TREE

# Columns are added to partitions by their owner, and rows are read from each by its own name.
_PARTITIONS = sa.text(f"""{TREE}
    select tree.oid::regclass::text as name, n.nspname as schema, current_user as role,
           pg_has_role(c.relowner, 'USAGE') as owns,
           has_schema_privilege(n.oid, 'USAGE') and has_schema_privilege(n.oid, 'CREATE') as usable
    from tree join pg_class c using (oid) join pg_namespace n on n.oid = c.relnamespace
    where tree.level > 0 and c.relkind <> 'f'
    order by 1
""")
_OTHERS = sa.text(f"""{TREE}
    select distinct coalesce(quote_ident(a.attname), 'an expression')
    from tree join pg_partitioned_table p on p.partrelid = tree.oid
    cross join unnest(p.partattrs::int2[]) as part(attnum)
    left join pg_attribute a on a.attrelid = p.partrelid and a.attnum = part.attnum
        and part.attnum > 0
    where a.attname is null or a.attname <> all (cast(:keys as name[]))
    order by 1
""")


def missing_in_partitions(connection: sa.Connection, regclass: str) -> Iterator[str]:
    """Rights that the role lacks on partitions of the table, which is quoted."""
    for row in connection.execute(_PARTITIONS, {"table": regclass}):
        role = quote_identifier(row.role)
        if not row.owns:
            yield (
                f"role {row.role} does not own partition {row.name}: "
                f"ALTER TABLE {row.name} OWNER TO {role};"
            )
        if not row.usable:
            yield (
                f"role {row.role} cannot create an index on partition {row.name}: "
                f"GRANT USAGE, CREATE ON SCHEMA {quote_identifier(row.schema)} TO {role};"
            )


def key_advice(connection: sa.Connection, regclass: str, keys: Sequence[str]) -> str:
    """What to do about a key that is not unique."""
    others = connection.scalars(_OTHERS, {"table": regclass, "keys": list(keys)}).all()
    if not others:
        return "choose or create such a key; one of several columns is a list"
    return (
        f"the table is partitioned by {', '.join(others)} too, and so PostgreSQL keeps "
        f"{', '.join(keys)} unique only together with it: set table.key: "
        f"[{', '.join((*keys, *others))}], if these are a unique key"
    )

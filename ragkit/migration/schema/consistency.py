"""What a table must not have, if its vectors are to stay those of its texts."""

import hashlib
from collections.abc import Iterator

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.migration.partitions.tree import TREE, is_partitioned

_CHILDREN = sa.text("""
    select count(*) from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = to_regclass(:table) and not c.relispartition
""")
_ROOT = sa.text("""
    select pg_partition_root(oid)::regclass::text from pg_class
    where oid = to_regclass(:table) and relispartition
""")
_FOREIGN = sa.text(f"""{TREE}
    select tree.oid::regclass::text from tree join pg_class c using (oid)
    where c.relkind = 'f' order by 1
""")
_CONTENT = sa.text("""
    select t.typname = 'bpchar' as padded, coalesce(not c.collisdeterministic, false) as loose,
           format_type(a.atttypid, a.atttypmod) as full_type
    from pg_attribute a join pg_type t on t.oid = a.atttypid
    left join pg_collation c on c.oid = a.attcollation
    where a.attrelid = to_regclass(:table) and a.attname = :content and not a.attisdropped
""")
_LATER = sa.text(f"""{TREE}
    select distinct tgname from pg_trigger join tree on tree.oid = tgrelid
    where (not tgisinternal or tgparentid <> 0) and tgenabled <> 'D'
      and tgtype & 1 <> 0 and tgtype & 2 <> 0 and tgtype & 16 <> 0  -- row, before, update
      and tgname > cast(:own as name) and not starts_with(tgname, 'zz_ragkit_')
    order by tgname
""")


def clear_trigger(migration_id: str) -> str:
    """The name of the trigger that clears a vector. It begins with zz, because triggers fire in the
    order of their names, and this one must see the text as the others leave it."""
    return own_trigger("clear", migration_id)


def own_trigger(kind: str, migration_id: str) -> str:
    return f"zz_ragkit_{short_name(kind, migration_id)}"


def short_name(kind: str, migration_id: str) -> str:
    """Of an object that each migration has one of."""
    return f"{kind}_{hashlib.sha256(migration_id.encode()).hexdigest()[:8]}"


def consistency_faults(
    connection: sa.Connection, regclass: str, content: str, migration_id: str, *, beside: bool
) -> Iterator[str]:
    """One text for each, with the way out. `regclass` is the quoted table; `beside` is for vectors
    in a side table, whose triggers fire after every other one that can change a text."""
    table = {"table": regclass}
    if children := connection.scalar(_CHILDREN, table):
        yield (
            f"{children} tables inherit from it, and their rows would have no trigger: migrate "
            "them on their own, after ALTER TABLE … NO INHERIT"
        )
    if root := connection.scalar(_ROOT, table):
        yield (
            f"it is a partition, which takes no column of its own: set table.schema and table.name "
            f"to those of {root}, whose partitions are migrated together"
        )
    for name in connection.scalars(_FOREIGN, table):
        yield f"partition {name} is a foreign table, whose rows cannot be walked: detach it first"
    if beside and is_partitioned(connection, regclass):
        yield (
            "it is partitioned, and new.placement is side_table, which is not told of partitions "
            "that are truncated, detached or dropped: set new.placement: column"
        )
    column = quote_identifier(content)
    row = connection.execute(_CONTENT, {**table, "content": content}).first()
    if row and row.padded:
        yield (
            f"content {content!r} is {row.full_type}, whose blanks at the end come and go: "
            f"ALTER TABLE {regclass} ALTER COLUMN {column} TYPE text"
        )
    if row and row.loose:
        yield (
            f"content {content!r} has a nondeterministic collation, under which two texts can be "
            f'equal: ALTER TABLE {regclass} ALTER COLUMN {column} TYPE text COLLATE "default"'
        )
    later = [] if beside else later_triggers(connection, regclass, migration_id)
    for name in later:
        yield (
            f"trigger {name!r} fires after the one that clears vectors, which would not see its "
            f"changes: ALTER TRIGGER {quote_identifier(name)} ON {regclass} RENAME TO "
            f"{quote_identifier(f'a_{name}'[:63])}"
        )


def later_triggers(connection: sa.Connection, regclass: str, migration_id: str) -> list[str]:
    """The own triggers of the table and its partitions that can still change a text after ours has
    looked at it."""
    own = {"table": regclass, "own": clear_trigger(migration_id)}
    return list(connection.scalars(_LATER, own))

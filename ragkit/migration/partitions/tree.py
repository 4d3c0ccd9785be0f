"""The partitions of a table, as the catalogue tells them. A plain table is its own only leaf.

Nothing here asks whether a table is partitioned: the tree of a plain table is that table.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier

TREE = """
    with recursive tree(oid, parent, level) as (
        select cast(:table as regclass)::oid, null::oid, 0
        union all
        select c.oid, t.oid, t.level + 1
        from tree t join pg_inherits i on i.inhparent = t.oid and not i.inhdetachpending
        join pg_class c on c.oid = i.inhrelid and c.relispartition)
"""
"""The start of a query of `:table`, quoted: the table and all its partitions, by oid. Waits for no
lock, as pg_partition_tree may, and fails where there is no such table."""
BLOCKS = "pg_relation_size(c.oid) / current_setting('block_size')::int"
"""Of the heap of `c`, as SQL."""
_RELATIONS = sa.text(f"""{TREE}
    select c.oid::bigint, n.nspname, c.relname, c.relkind::text, tree.parent::bigint
    from tree join pg_class c using (oid) join pg_namespace n on n.oid = c.relnamespace
    order by tree.level, c.oid
""")
_LEAVES = sa.text(f"""{TREE}
    select c.oid::bigint, n.nspname, c.relname, pg_relation_filenode(c.oid)::bigint, {BLOCKS}
    from tree join pg_class c using (oid) join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' order by c.oid
""")
_BLOCKS = sa.text(f"""{TREE}
    select coalesce(sum({BLOCKS}), 0)::bigint from tree join pg_class c using (oid)
    where c.relkind = 'r'
""")
_IS_PARTITIONED = sa.text("select relkind = 'p' from pg_class where oid = to_regclass(:table)")


@dataclass(frozen=True)
class Relation:
    """A table or partition; `kind` as in pg_class, `parent` is None for the root."""

    oid: int
    schema: str
    name: str
    kind: str
    parent: int | None

    @property
    def regclass(self) -> str:
        """The name as SQL."""
        return quote_identifier(self.schema, self.name)


@dataclass(frozen=True)
class Leaf:
    """A table that holds rows: heap blocks of the file `filenode`."""

    oid: int
    schema: str
    name: str
    filenode: int
    blocks: int

    @property
    def regclass(self) -> str:
        """The name as SQL."""
        return quote_identifier(self.schema, self.name)


def read_relations(connection: sa.Connection, regclass: str) -> list[Relation]:
    """The whole tree, parents before their partitions. `regclass` is the quoted root."""
    return [Relation(*row) for row in connection.execute(_RELATIONS, {"table": regclass})]


def read_leaves(connection: sa.Connection, regclass: str) -> list[Leaf]:
    """In the order of their oids."""
    return [Leaf(*row) for row in connection.execute(_LEAVES, {"table": regclass})]


def count_blocks(connection: sa.Connection, regclass: str) -> int:
    """Of the heaps of all leaves."""
    return connection.scalar(_BLOCKS, {"table": regclass}) or 0


def is_partitioned(connection: sa.Connection, regclass: str) -> bool:
    return bool(connection.scalar(_IS_PARTITIONED, {"table": regclass}))

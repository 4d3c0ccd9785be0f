"""How far the sweep is."""

from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.migration.migration import Migration
from ragkit.migration.partitions.tree import BLOCKS, TREE
from ragkit.migration.work.tables import CLAIM, SWEEP

_STATE = sa.text(f"""{TREE}
    select coalesce(sum(coalesce(s.blocks, {BLOCKS})), 0)::bigint,
           coalesce(sum(s.next_block), 0)::bigint,
           (select count(*) from {CLAIM} where migration = :id)
    from tree join pg_class c using (oid)
    left join {SWEEP} s on s.migration = :id and s.relation = c.oid
    where c.relkind = 'r'
""")


@dataclass(frozen=True)
class SweepState:
    """`done` of `blocks` are behind the marks; the rows of `claims` ranges are being worked on."""

    blocks: int
    done: int
    claims: int

    @property
    def unclaimed(self) -> int:
        """Blocks that no worker has claimed yet."""
        return self.blocks - self.done

    @property
    def is_complete(self) -> bool:
        return self.unclaimed <= 0 and not self.claims


def read_sweep(connection: sa.Connection, migration: Migration) -> SweepState:
    """Of the leaves that the table has now, also of those that nobody has begun to walk."""
    names = {"id": migration.id, "table": migration.quoted_table}
    return SweepState(*connection.execute(_STATE, names).one())


def is_walked(migration: Migration) -> bool:
    """Whether nobody has anything left to claim, or to finish. Raises DatabaseError."""
    with translate_errors("reading the sweep"), migration.engine.connect() as connection:
        return read_sweep(connection, migration).is_complete

"""Names of a side table and of what belongs to it, as SQL."""

from ragkit.database.identifiers import quote_identifier, quote_literal
from ragkit.migration.migration import Migration
from ragkit.migration.schema.consistency import short_name
from ragkit.migration.work.queue import LATER_SECONDS
from ragkit.migration.work.tables import queue_partition
from ragkit.retrieval.contract import SCHEMA
from ragkit.retrieval.side_table import DIGEST, KEY, VECTOR


def names_of(migration: Migration) -> dict[str, str]:
    """Quoted, for the new vectors of `migration`."""
    table = migration.plan.table
    return {
        "side": migration.new_place[0],
        "side_key": KEY,
        "side_vector": VECTOR,
        "side_digest": DIGEST,
        "table": migration.quoted_table,
        "key": quote_identifier(migration.key.name),
        "key_name": quote_literal(migration.key.name),
        "key_type": migration.key_type,
        "content": quote_identifier(table.content),
        "content_name": quote_literal(table.content),
        "migration": quote_literal(migration.id),
        "queue": queue_partition(migration.id),
        "later": f"{LATER_SECONDS:d}",
        "watch": quote_identifier(SCHEMA, short_name("watch", migration.id)),
        "tag": short_name("body", migration.id),
    }

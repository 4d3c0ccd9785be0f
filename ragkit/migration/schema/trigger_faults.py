"""Whether the triggers of a migration are there, on the table and each of its partitions."""

import sqlalchemy as sa

from ragkit.migration.migration import Migration
from ragkit.migration.partitions.tree import TREE
from ragkit.migration.schema.consistency import later_triggers
from ragkit.migration.schema.text_table import triggers as text_table
from ragkit.migration.schema.triggers import trigger_names
from ragkit.migration.terms.lookup import Lookup

_ENABLED = sa.text(f"""{TREE}
    select own.name, coalesce(t.tgenabled::text, '') as enabled,
           case when tree.level > 0 then ' of ' || tree.oid::regclass else '' end as partition
    from tree cross join unnest(cast(:names as name[])) with ordinality as own(name, number)
    left join pg_trigger t on t.tgrelid = tree.oid and t.tgname = own.name
    order by tree.level, tree.oid, own.number
""")


def trigger_faults(connection: sa.Connection, migration: Migration) -> list[str]:
    """Why the triggers of `migration` do not see every write; [] when they do."""
    names = {"table": migration.quoted_table, "names": list(trigger_names(migration))}
    faults = []
    for name, enabled, partition in connection.execute(_ENABLED, names):
        if enabled != "A":
            fault = {"": "missing", "D": "disabled"}.get(enabled, "not ALWAYS")
            faults.append(f"{name}{partition} is {fault}")
    if migration.new_side:
        return faults
    if isinstance(texts := migration.terms.content, Lookup):
        names = {"table": texts.table, "names": list(text_table.trigger_names(migration))}
        for name, enabled, _ in connection.execute(_ENABLED, names):
            if enabled != "A":
                faults.append(f"{name} of {texts.table} is missing or not ALWAYS")
    later = later_triggers(connection, migration.quoted_table, migration.id)
    return faults + [f"{name} fires after it and can change the text" for name in later]

"""The triggers on the app's table."""

from ragkit.migration.schema.triggers.making import (
    add_triggers,
    add_triggers_sql,
    drop_triggers,
    drop_triggers_sql,
    is_own,
    trigger_names,
)

__all__ = [
    "add_triggers",
    "add_triggers_sql",
    "drop_triggers",
    "drop_triggers_sql",
    "is_own",
    "trigger_names",
]

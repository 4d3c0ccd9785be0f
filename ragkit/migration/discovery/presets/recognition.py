"""Which framework made a table."""

from collections.abc import Collection

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.errors import SchemaError
from ragkit.migration.discovery.presets.libraries import LIBRARIES
from ragkit.migration.discovery.presets.platforms import PLATFORMS
from ragkit.migration.discovery.presets.preset import Preset
from ragkit.migration.discovery.tables import VectorTable

PRESETS = (*LIBRARIES, *PLATFORMS)
_SIGNS = sa.text("""
    select relname from pg_class where relkind in ('r', 'p') and relname = any(:names)
    union select proname from pg_proc where proname = any(:names)
""")


def find_signs(engine: sa.Engine) -> set[str]:
    """Names of tables and functions by which a database tells who made it. Raises
    DatabaseError."""
    names = [preset.sign for preset in PRESETS if preset.sign]
    with translate_errors("looking for frameworks"), engine.connect() as connection:
        return set(connection.scalars(_SIGNS, {"names": names}))


def find_preset(table: VectorTable, signs: Collection[str] = ()) -> Preset | None:
    """The framework's whose table it is. Raises SchemaError for one that cannot be migrated, which
    says what to do."""
    preset = next((p for p in PRESETS if p.fits(table.name, table.columns, signs)), None)
    if preset and preset.refused:
        what = preset.refused.replace("{table}", table.regclass)
        raise SchemaError(f"{table.qualified_name} is a table of {preset.name}: {what}")
    return preset

"""The language of the texts, as PostgreSQL's full text search knows it."""

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.errors import ConfigError
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import has_text

NEUTRAL = "simple"
"""Knows no language: each form of a word is a word, and none is left out."""
SAMPLE_TEXTS = 200
CHARACTERS = 10_000
"""That are read of a text."""
MIN_GAIN = 0.15
"""The share of the words that a language must leave out or take together, to be that of the
texts."""

_CONFIGURATIONS = sa.text("""
    select cfgname, (
        select sum(length(to_tsvector(c.oid::regconfig, t))) from unnest(cast(:texts as text[])) t)
    from pg_ts_config c where cfgnamespace = 'pg_catalog'::regnamespace order by 2, 1
""")
_KNOWN = sa.text("select cfgname from pg_ts_config where pg_ts_config_is_visible(oid) order by 1")
_EXISTS = sa.text("""
    select exists (
        select from pg_ts_config where cfgname = :name and pg_ts_config_is_visible(oid))
""")
"""Without its schema in the search path, no search would find it."""


def choose_language(migration: Migration) -> str:
    """The plan's, else the configuration that finds most of the texts' words to be stop words or
    forms of each other; NEUTRAL where none does.

    Raises ConfigError for a configuration that the server does not have, or DatabaseError.
    """
    wanted = migration.plan.rescue.language
    with translate_errors("choosing the language"), migration.engine.connect() as connection:
        if not wanted:
            return _detect(connection, migration)
        if not connection.scalar(_EXISTS, {"name": wanted}):
            known = connection.scalars(_KNOWN)
            raise ConfigError(
                f"rescue.language is {wanted!r}: the server's text search configurations are "
                f"{', '.join(known)}"
            )
        return wanted


def _detect(connection: sa.Connection, migration: Migration) -> str:
    start = sa.func.left(migration.content, CHARACTERS)
    query = migration.select(start).where(has_text(migration.content))
    texts = [str(text) for text in connection.scalars(query.limit(SAMPLE_TEXTS))]
    lexemes = {name: count or 0 for name, count in connection.execute(_CONFIGURATIONS, {
        "texts": texts})}  # fmt: skip
    best = min(lexemes, key=lexemes.__getitem__, default=NEUTRAL)
    is_clear = lexemes.get(best, 0) <= (1 - MIN_GAIN) * lexemes.get(NEUTRAL, 0)
    return best if texts and is_clear else NEUTRAL

"""What the full text search reads: a generated column that the table has, or else its texts.

LlamaIndex's hybrid tables have such a column, with an index; so have many others. Then nothing is
built, and no text is parsed for a question.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.migration.migration import Migration
from ragkit.migration.rescue.language import choose_language

# The expressions are compared as PostgreSQL words them. A role that may read the text, but not the
# column, could not search any more.
_GENERATED = sa.text("""
    select a.attname as column, c.cfgname as language
    from pg_attribute a
    join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    join pg_attribute t on t.attrelid = a.attrelid and t.attname = :content
    cross join pg_ts_config c
    where a.attrelid = to_regclass(:table) and a.attgenerated = 's' and not a.attisdropped
      and a.atttypid = 'tsvector'::regtype and pg_ts_config_is_visible(c.oid)
      and (c.cfgname = :language or :language = '')
      and pg_get_expr(d.adbin, d.adrelid) in (
          select format('to_tsvector(%L::regconfig, %s)', c.oid::regconfig::text,
                        format(shape, quote_ident(t.attname)))
          from unnest(cast(:shapes as text[])) as s (shape))
      and not exists (
          select from pg_roles r where r.rolcanlogin
            and has_column_privilege(r.oid, a.attrelid, t.attnum, 'SELECT')
            and not has_column_privilege(r.oid, a.attrelid, a.attnum, 'SELECT'))
    order by exists (
        select from pg_index i where i.indrelid = a.attrelid and i.indisvalid
          and i.indpred is null and i.indkey[0] = a.attnum) desc, a.attnum
    limit 1
""")
_SHAPES = [
    "%s", "COALESCE(%s, ''::text)", "(%s)::text", "COALESCE((%s)::text, ''::text)",
    "(COALESCE(%s, ''::character varying))::text",
]  # fmt: skip
"""Of the text in the expression."""


@dataclass(frozen=True)
class Document:
    """`column` is "" where the texts themselves are searched."""

    language: str
    column: str = ""


def choose_document(migration: Migration) -> Document:
    """A generated column of the content alone, in the plan's language if it names one; the first
    with an index, if there is one. Raises ConfigError or DatabaseError."""
    names = {
        "table": migration.quoted_table, "content": migration.plan.table.content,
        "language": migration.plan.rescue.language, "shapes": _SHAPES,
    }  # fmt: skip
    with (
        translate_errors("looking for a column of the full text search"),
        migration.engine.connect() as connection,
    ):
        row = connection.execute(_GENERATED, names).first()
    return Document(row.language, row.column) if row else Document(choose_language(migration))

"""The copy of the sample in the scratch schema: rows as they are, with every index and check.

No statement takes another lock on the table than that of a SELECT, waits for it longer than
`lock_timeout_ms`, or lasts longer than COPY_SECONDS.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import (
    LOCK_NOT_AVAILABLE,
    QUERY_CANCELED,
    sqlstate,
    translate_errors,
)
from ragkit.errors import DatabaseError
from ragkit.migration.migration import Migration
from ragkit.migration.schema.index.sizing import choose_sizing

COPY_SECONDS = 300
"""Of a statement: meanwhile no VACUUM removes what has been deleted since."""
_COLUMNS = sa.text("""
    select attname from pg_attribute
    where attrelid = to_regclass(:table) and attnum > 0 and not attisdropped and attgenerated = ''
    order by attnum
""")
_FILLFACTOR = sa.text("""
    select o.option_value::int from pg_class c, pg_options_to_table(c.reloptions) o
    where c.oid = to_regclass(:table) and o.option_name = 'fillfactor'
""")
# pg_get_indexdef names the table with its schema, quoted as by quote_ident.
_INDEXES = sa.text("""
    select replace(replace(pg_get_indexdef(i.indexrelid),
                           format(' ON ONLY %I.%I USING ', n.nspname, c.relname), :on),
                   format(' ON %I.%I USING ', n.nspname, c.relname), :on)
    from pg_index i join pg_class c on c.oid = i.indrelid
    join pg_namespace n on n.oid = c.relnamespace
    where i.indrelid = to_regclass(:table) and i.indisvalid and i.indisready order by i.indexrelid
""")
# A check that is not valid may not hold for rows that are there: then no update of them works.
_CHECKS = sa.text("""
    select format('alter table %s add constraint %I %s', cast(:copy as text), conname,
                  regexp_replace(pg_get_constraintdef(oid), ' NOT VALID$', '') || ' not valid')
    from pg_constraint where conrelid = to_regclass(:table) and contype = 'c'
    and pg_get_constraintdef(oid) !~ ' NOT ENFORCED$' order by oid
""")


def place(migration: Migration, schema: str) -> Migration:
    """The same migration of a table of the same name in another schema."""
    table = migration.plan.table.model_copy(update={"schema_name": schema})
    return replace(migration, plan=migration.plan.model_copy(update={"table": table}))


def copy_rows(
    migration: Migration, copied: Migration, share: float, judged: Sequence[str], by_blocks: bool
) -> int:
    """Makes the table of `copied` and fills it: the share, and the rows of the keys `judged`, by
    their text forms, that are not in it. Answers how many came for them. Raises DatabaseError."""
    with _bounded(migration, "copying") as connection:
        columns = _create(connection, migration, copied)
        method = "system" if by_blocks else "bernoulli"
        scope = f" where {migration.where}" if migration.where else ""
        names = ", ".join(quote_identifier(name) for name in columns)
        connection.exec_driver_sql(
            f"insert into {copied.quoted_table} ({names}) select {names} "
            f"from {migration.quoted_table} tablesample {method} ({100 * share:.8f}) "
            f"repeatable (1){scope}"
        )
    if not judged:
        return 0
    with _bounded(migration, "copying") as connection:
        there = connection.scalars(copied.select(copied.key_text).where(copied.has_key(judged)))
        if not (missing := sorted({*judged} - {*there})):
            return 0
        source = migration.select(*map(sa.column, columns)).where(migration.has_key(missing))
        names_of = copied.plan.table
        target = sa.table(names_of.name, *map(sa.column, columns), schema=names_of.schema_name)
        return connection.execute(sa.insert(target).from_select(columns, source)).rowcount


def index_copy(migration: Migration, copied: Migration) -> int:
    """Every valid index that the table has, its checks, and statistics; answers the rows of the
    copy. By one process, whose memory is that of the new index. Raises DatabaseError."""
    table, copy = migration.quoted_table, copied.quoted_table
    _ = copied.new  # a plug-in may ask its model, which is not for a transaction
    with _bounded(migration, "indexing") as connection:
        count = sa.select(sa.func.count()).select_from(
            sa.table(copied.plan.table.name, schema=copied.plan.table.schema_name)
        )
        rows = connection.scalars(count).one()
        memory = choose_sizing(connection, copied, rows, may_set=True).memory_mb
        connection.exec_driver_sql(f"set local maintenance_work_mem = '{memory:d}MB'")
        connection.exec_driver_sql("set local max_parallel_maintenance_workers = 0")
        names = {"table": table, "on": f" ON {copy} USING "}
        made = list(connection.scalars(_INDEXES, names))
        made += connection.scalars(_CHECKS, {"table": table, "copy": copy})
        for statement in made:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"analyze {copy}")
    return rows


def _create(connection: sa.Connection, migration: Migration, copied: Migration) -> list[str]:
    """Answers the columns that can be given a value. Defaults and identities would hold on to the
    table's own sequences."""
    table = {"table": migration.quoted_table}
    fill = connection.scalar(_FILLFACTOR, table)
    connection.exec_driver_sql(
        f"create table {copied.quoted_table} (like {migration.quoted_table} including storage "
        "including compression including generated)"
        + (f" with (fillfactor = {fill:d})" if fill else "")
    )
    return list(connection.scalars(_COLUMNS, table))


@contextmanager
def _bounded(migration: Migration, doing: str) -> Iterator[sa.Connection]:
    """A transaction that waits for nobody, and whose statements last COPY_SECONDS at most. Raises
    DatabaseError."""
    wait, action = migration.plan.database.lock_timeout_ms, f"{doing} the sample"
    reasons = {
        QUERY_CANCELED: f"it took {COPY_SECONDS} s, and was ended: take a smaller --share",
        LOCK_NOT_AVAILABLE: "the table was locked by others, even against reading: run it again",
    }
    with translate_errors(action):
        try:
            with migration.engine.begin() as connection:
                connection.exec_driver_sql(f"set local lock_timeout = {wait:d}")
                connection.exec_driver_sql(f"set local statement_timeout = '{COPY_SECONDS:d}s'")
                yield connection
        except DBAPIError as error:
            if reason := reasons.get(sqlstate(error) or ""):
                raise DatabaseError(f"{action}: {reason}") from None
            raise

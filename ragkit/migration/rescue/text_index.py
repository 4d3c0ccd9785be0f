"""The index of the full text search, for as long as the rescue takes."""

import logging
import time

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import translate_errors
from ragkit.errors import DatabaseError, DatabaseUnavailable, PhaseError
from ragkit.migration.migration import Migration
from ragkit.migration.partitions.tree import is_partitioned
from ragkit.migration.schema.index.estimate import estimate_rows
from ragkit.migration.schema.index.session import BuildingSession, building_session
from ragkit.migration.schema.statements import fit_name
from ragkit.retrieval.rescue.candidates.full_text import document_sql, language_sql, searchable_sql
from ragkit.retrieval.rescue.plan import RescuePlan

MIN_ROWS = 2000
"""With fewer, reading all texts takes no longer than the model."""
PATIENCE_SECONDS, POLL_SECONDS = 600.0, 0.5
ANALYSE_SECONDS = 30.0
log = logging.getLogger(__name__)
_STATE = sa.text("""
    select indisvalid and :document = ''
           and coalesce(strpos(pg_get_expr(indexprs, indrelid), :language), 0) > 0
    from pg_index where indexrelid = to_regclass(:name)
""")
_SAME = sa.text("""
    select exists (
        select from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = relam
        where i.indrelid = to_regclass(:table) and i.indisvalid and i.indpred is null
          and amname in ('gin', 'gist')
          and (pg_get_expr(indexprs, indrelid) = :expression or i.indkey[0] = (
              select attnum from pg_attribute
              where attrelid = i.indrelid and attname = :document and not attisdropped)))
""")


def build_text_index(migration: Migration, plan: RescuePlan) -> bool:
    """Builds the index without blocking writes, where the table is large enough and has none.

    Returns whether there is one now; a partitioned table gets none. Replaces the leftover of a
    killed build, and ragkit's own for another language or column. Raises PhaseError or
    DatabaseError.
    """
    with translate_errors("looking for a text index"), migration.engine.connect() as connection:
        if _state(connection, migration, plan):
            return True
        rows = estimate_rows(connection, migration)
        if rows < MIN_ROWS or is_partitioned(connection, migration.quoted_table):
            return False
    with building_session(migration) as session, translate_errors("building the text index"):
        _claim(session)
        with migration.engine.connect() as connection:
            state = _state(connection, migration, plan)
        run = session.connection.exec_driver_sql
        if state is False:
            run(drop_sql(migration))
        if not state:
            run(create_sql(migration, plan))
    if not state:
        _analyse(migration)
    return True


def _analyse(migration: Migration) -> None:
    """So that the search knows which words are rare; blocks nobody. It goes without too."""
    try:
        with translate_errors("analysing the table"), migration.engine.begin() as connection:
            for setting in (f"statement_timeout = '{ANALYSE_SECONDS:g}s'", "lock_timeout = '2s'"):
                connection.exec_driver_sql(f"set local {setting}")
            connection.exec_driver_sql(f"analyze {migration.quoted_table}")
    except DatabaseUnavailable:
        raise
    except DatabaseError as error:
        log.warning("the rarest words of a question are not known: %s", error)


def _state(connection: sa.Connection, migration: Migration, plan: RescuePlan) -> bool | None:
    """Whether there is an index that serves; None where there is none of ragkit either."""
    names = {
        "table": migration.quoted_table, "expression": document_sql(plan),
        "document": plan.document, "name": text_index(migration), "language": language_sql(plan),
    }  # fmt: skip
    if connection.scalar(_SAME, names):
        return True
    state: bool | None = connection.scalar(_STATE, names)
    return state


def _claim(session: BuildingSession) -> None:
    """Of two builds at once, PostgreSQL would end one as a deadlock. The server may also go on with
    the build of a client that was killed."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not session.claim():
        if time.monotonic() > deadline:
            raise PhaseError(
                f"another session is building an index of the table since {PATIENCE_SECONDS:.0f} s:"
                " wait for its end, and run this step again"
            )
        time.sleep(POLL_SECONDS)


def drop_text_index(migration: Migration) -> None:
    """That of ragkit, if it is there; nobody is blocked. Raises DatabaseError."""
    exists = sa.select(sa.func.to_regclass(text_index(migration)).is_not(None))
    with translate_errors("looking for a text index"), migration.engine.connect() as connection:
        if not connection.scalar(exists):
            return
    with building_session(migration) as session, translate_errors("dropping the text index"):
        session.connection.exec_driver_sql(drop_sql(migration))


def text_index(migration: Migration) -> str:
    """Its name as SQL."""
    name = fit_name(f"{migration.plan.table.name}_ragkit_text")
    return quote_identifier(migration.plan.table.schema_name, name)


def create_sql(migration: Migration, plan: RescuePlan) -> str:
    name = text_index(migration).rpartition(".")[2]
    sql = (
        f"create index concurrently {name} on {migration.quoted_table} "
        f"using gin ({document_sql(plan)})"
    )
    return sql if plan.document else f"{sql} where {searchable_sql(plan)}"


def drop_sql(migration: Migration) -> str:
    return f"drop index concurrently if exists {text_index(migration)}"

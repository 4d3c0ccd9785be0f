"""The scratch schema of a rehearsal, marked as ragkit's own."""

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier, quote_literal
from ragkit.database.translate import translate_errors
from ragkit.errors import SchemaError
from ragkit.migration import ledger
from ragkit.migration.backfill.model_calls import costs
from ragkit.migration.schema import statements
from ragkit.migration.work.tables import create_tables

SCRATCH = "ragkit_rehearsal"
MARK = "made by ragkit rehearse, which drops it; of "
"""The comment on the schema and on the copy, before the migration that is rehearsed."""
_COMMENT = sa.text("""
    select coalesce(obj_description(oid, 'pg_namespace'), '') from pg_namespace
    where nspname = :schema
""")
_MAY_CREATE = sa.text("""
    select has_database_privilege(current_database(), 'CREATE'), current_database(), current_user,
           (select string_agg(pubname, ', ') from pg_publication where puballtables)
""")
_READERS = sa.text("""
    select distinct coalesce(quote_ident(r.rolname), 'public') from pg_namespace n
    cross join aclexplode(n.nspacl) a left join pg_roles r on r.oid = a.grantee
    where n.nspname = :schema and a.grantee <> n.nspowner
""")


def make_own_tables(engine: sa.Engine) -> None:
    """What a rehearsal writes into ragkit's own schema before it has a table. Safe to repeat.
    Raises DatabaseError."""
    with translate_errors("preparing the rehearsal"), engine.begin() as connection:
        for statement in (*statements.lock_schema(), statements.create_schema()):
            connection.exec_driver_sql(statement)
        ledger.create_tables(connection)
        create_tables(connection)
        costs.create_table(connection)


def require_room(engine: sa.Engine) -> None:
    """Raises SchemaError without the right to make a schema, or where a copy would be sent to
    subscribers; DatabaseError."""
    with translate_errors("looking at the database"), engine.connect() as connection:
        may_create, database, role, published = connection.execute(_MAY_CREATE).one()
    if not may_create:
        raise SchemaError(
            f"a rehearsal makes the schema {SCRATCH}, which this role may not: GRANT CREATE ON "
            f"DATABASE {quote_identifier(database)} TO {quote_identifier(role)}; nothing was "
            "changed"
        )
    if published:
        raise SchemaError(
            f"the publication {published} has every table of the database, so that its "
            "subscribers would be sent the rehearsal's too, which they do not have: rehearse "
            "on a clone (--clone URL); nothing was changed"
        )


def make_scratch(engine: sa.Engine, migration: str) -> None:
    """Marks it in the same transaction, and takes from others what default privileges give them.
    Raises DatabaseError."""
    name = quote_identifier(SCRATCH)
    with translate_errors("making the scratch schema"), engine.begin() as connection:
        connection.exec_driver_sql(f"create schema {name}")
        connection.exec_driver_sql(mark_sql("schema", name, migration))
        for role in connection.scalars(_READERS, {"schema": SCRATCH}).all():
            connection.exec_driver_sql(f"revoke all on schema {name} from {role}")


def mark_sql(kind: str, name: str, migration: str) -> str:
    """Of a schema or a table, whose `name` is SQL."""
    return f"comment on {kind} {name} is {quote_literal(MARK + migration)}"


def rehearsed(connection: sa.Connection) -> str | None:
    """The migration whose rehearsal is there; None without one. Raises SchemaError for a schema of
    that name which ragkit has not made."""
    if (comment := connection.scalar(_COMMENT, {"schema": SCRATCH})) is None:
        return None
    if not comment.startswith(MARK):
        raise SchemaError(
            f"the schema {SCRATCH} was not made by ragkit, which would drop it: give it another "
            "name; nothing was changed"
        )
    return str(comment.removeprefix(MARK))

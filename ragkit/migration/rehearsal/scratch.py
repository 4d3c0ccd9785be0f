"""The scratch schema of a rehearsal: marked as ragkit's own, and removed with everything of it.

Whatever a step leaves in schema `ragkit` for a table of the scratch schema begins with its name, or
with a hash of a migration that does. So a rehearsal that was killed is removed by the next one,
whatever its plan was; what it has spent is booked on the migration that it rehearsed.
"""

from collections.abc import Iterator
from contextlib import nullcontext

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ragkit.database.identifiers import quote_identifier, quote_literal
from ragkit.database.translate import LOST_RACES, sqlstate, translate_errors
from ragkit.errors import SchemaError
from ragkit.migration import ledger
from ragkit.migration.backfill.model_calls import costs
from ragkit.migration.plan.data import DatabaseSection
from ragkit.migration.rehearsal.money import book
from ragkit.migration.schema import statements
from ragkit.migration.schema.consistency import short_name
from ragkit.migration.work.tables import LEASE, create_tables, drop_partition_sql
from ragkit.retrieval.contract import CONTRACT, SCHEMA
from ragkit.retrieval.contract import exists as has_contract
from ragkit.retry import table_lock

SCRATCH = "ragkit_rehearsal"
MARK = "made by ragkit rehearse, which drops it; of "
"""The comment on the schema, before the migration that is rehearsed."""
_OF_SCRATCH = f"{SCRATCH}."
_COMMENT = sa.text("""
    select coalesce(obj_description(oid, 'pg_namespace'), '') from pg_namespace
    where nspname = :schema
""")
_MAY_CREATE = sa.text("""
    select has_database_privilege(current_database(), 'CREATE'), current_database(), current_user,
           (select string_agg(pubname, ', ') from pg_publication where puballtables)
""")
_BY_MIGRATION = sa.text("""
    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'migration' and not a.attisdropped
    where n.nspname = :own and c.relkind = 'r' and not c.relispartition  -- those are dropped
    order by c.relname
""")
_FUNCTIONS = sa.text("""
    select format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = :own and right(p.proname, :length) = :ending
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


def make_scratch(engine: sa.Engine, migration: str) -> None:
    """Marks it in the same transaction. Raises SchemaError without the right to make a schema, or
    DatabaseError."""
    with translate_errors("making the scratch schema"), engine.begin() as connection:
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
        connection.exec_driver_sql(f"create schema {quote_identifier(SCRATCH)}")
        connection.exec_driver_sql(
            f"comment on schema {quote_identifier(SCRATCH)} is {quote_literal(MARK + migration)}"
        )


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


def remove(engine: sa.Engine, home: sa.Engine, waits: DatabaseSection) -> str | None:
    """Removes what a rehearsal has left in `engine`, in one transaction, and books what it spent in
    `home`, which may be another database. Answers the migration that was rehearsed; None when
    nothing was there. Raises SchemaError or DatabaseError, also when somebody keeps a table of it
    locked."""
    found: list[str | None] = []

    def change(connection: sa.Connection) -> None:
        found.append(of := rehearsed(connection))
        if of is not None:
            spent = list(_remove(connection))
            with nullcontext(connection) if home is engine else home.begin() as own:
                book(own, of, spent)  # a kill between two commits counts money twice

    with translate_errors(f"removing the schema {SCRATCH} (ragkit rehearse --clean tries again)"):
        for attempt in table_lock(_is_blocked, waits.ddl_seconds):
            with attempt, engine.begin() as connection:
                connection.exec_driver_sql(f"set local lock_timeout = {waits.lock_timeout_ms:d}")
                change(connection)
    return found[-1]


def _remove(connection: sa.Connection) -> Iterator[costs.ModelCost]:
    """Yields what was spent."""
    run = connection.exec_driver_sql
    own = {"own": SCHEMA}
    run(f"drop schema {quote_identifier(SCRATCH)} cascade")
    is_scratch = ledger.EVENT.c.migration.startswith(_OF_SCRATCH, autoescape=True)
    ids = connection.scalars(sa.select(ledger.EVENT.c.migration).where(is_scratch).distinct()).all()
    if costs.SPENDING.name in (tables := connection.scalars(_BY_MIGRATION, own).all()):
        spent = sa.delete(costs.SPENDING).where(
            costs.SPENDING.c.migration.startswith(_OF_SCRATCH, autoescape=True)
        )
        names = (costs.SPENDING.c[name] for name in costs.ModelCost.__dataclass_fields__)
        yield from (costs.ModelCost(*row) for row in connection.execute(spent.returning(*names)))
    for name in tables:
        rows = sa.table(name, sa.column("migration"), schema=SCHEMA)
        of_scratch = rows.c.migration.startswith(_OF_SCRATCH, autoescape=True)
        connection.execute(sa.delete(rows).where(of_scratch))
    for column in (ledger.MIGRATION.c.id, LEASE.c.name):
        of_scratch = column.startswith(_OF_SCRATCH, autoescape=True)
        connection.execute(sa.delete(column.table).where(of_scratch))
    if has_contract(connection):
        of_scratch = CONTRACT.c.table_name.startswith(_OF_SCRATCH, autoescape=True)
        bound = sa.delete(CONTRACT).where(of_scratch).returning(CONTRACT.c.side_table)
        for side in {name for name in connection.scalars(bound) if name}:
            run(f"drop table if exists {quote_identifier(*side.split('.', 1))}")
    for migration in ids:
        ending = short_name("", migration)
        names_of = {**own, "length": len(ending), "ending": ending}
        for function in connection.scalars(_FUNCTIONS, names_of).all():
            run(f"drop function {function}")
        run(drop_partition_sql(migration))  # last: it locks the queue of everybody


def _is_blocked(error: BaseException) -> bool:
    return isinstance(error, DBAPIError) and sqlstate(error) in LOST_RACES

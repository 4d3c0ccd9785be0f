"""The end of a rehearsal: whatever ragkit has made for it is removed, and nothing else.

Whatever a step leaves in schema `ragkit` for a table of the scratch schema begins with its name, or
with a hash of a migration that does. So a rehearsal that was killed is removed by the next one,
whatever its plan was; what it has spent is booked on the migration that it rehearsed.
"""

from collections.abc import Iterator
from contextlib import nullcontext

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import LOST_RACES, server_fields, sqlstate, translate_errors
from ragkit.errors import SchemaError
from ragkit.migration import ledger
from ragkit.migration.backfill.model_calls import costs
from ragkit.migration.plan.data import DatabaseSection
from ragkit.migration.rehearsal.money import book
from ragkit.migration.rehearsal.scratch import MARK, SCRATCH, rehearsed
from ragkit.migration.schema.consistency import short_name
from ragkit.migration.work.tables import LEASE, drop_partition_sql
from ragkit.retrieval.contract import CONTRACT, SCHEMA
from ragkit.retrieval.contract import exists as has_contract
from ragkit.retry import table_lock

_OF_SCRATCH = f"{SCRATCH}."
_COPIES = sa.text("""
    select quote_ident(c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = :schema and c.relkind = 'r'
    and starts_with(obj_description(c.oid, 'pg_class'), :mark)
""")
_DEPENDENT = "2BP01"
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


def remove(engine: sa.Engine, home: sa.Engine, waits: DatabaseSection) -> str | None:
    """Removes what a rehearsal has left in `engine`, in one transaction, and books what it spent in
    `home`, which may be another database. Answers the migration that was rehearsed; None when
    nothing was there. Raises SchemaError, also when somebody else has made something in it or on
    the copy, or DatabaseError, also when somebody keeps the copy locked."""
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
    _drop(connection)
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


def _drop(connection: sa.Connection) -> None:
    """Nothing of others goes with it."""
    names = {"schema": SCRATCH, "mark": MARK}
    scratch = quote_identifier(SCRATCH)
    try:
        for copy in connection.scalars(_COPIES, names).all():
            connection.exec_driver_sql(f"drop table {scratch}.{copy}")
        connection.exec_driver_sql(f"drop schema {scratch}")
    except DBAPIError as error:
        if sqlstate(error) != _DEPENDENT:
            raise
        others = "; ".join(server_fields(error).get("D", "").splitlines())
        raise SchemaError(
            f"the rehearsal is not removed, because others made something in it: {others}. Move "
            "or drop that, then: ragkit rehearse --clean"
        ) from None


def _is_blocked(error: BaseException) -> bool:
    return isinstance(error, DBAPIError) and sqlstate(error) in LOST_RACES

"""Changes of the contract, in the caller's transaction: bind, unbind, state and search."""

from collections.abc import Mapping
from dataclasses import asdict

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.database.own_tables import create_own_tables
from ragkit.errors import SpaceMismatch
from ragkit.retrieval.contract import CONTRACT, SCHEMA, read_bindings, regclass
from ragkit.retrieval.space import Binding

_COLUMN_NUMBER = sa.text("""
    select attrelid, attnum from pg_attribute
    where attrelid = to_regclass(:table) and attname = :column and not attisdropped
""")


def bind(connection: sa.Connection, binding: Binding) -> None:
    """Writes a binding; does nothing when the same one is there.

    Raises SpaceMismatch, and changes nothing, when the column is bound to another space.
    """
    create_own_tables(connection, CONTRACT.metadata)
    _add_missing_columns(connection)
    for bound in read_bindings(connection, binding.table):
        if (bound.column, bound.where) == (binding.column, binding.where):
            if bound.side != binding.side:
                raise SpaceMismatch(
                    f"the vectors of {bound.column} are in {bound.stored_in[0]} and cannot be in "
                    f"{binding.stored_in[0]}: choose another column"
                )
            if bound.space != binding.space:
                raise SpaceMismatch(
                    f"column {bound.column} is bound to {bound.space} and cannot take "
                    f"{binding.space}: choose another column"
                )
            return
    row = {
        "table_name": binding.table,
        "column_name": binding.column,
        "condition": binding.where,
        **asdict(binding.space),
        "distance": binding.distance,
        "fingerprint": binding.space.fingerprint,
        "state": binding.state,
    }
    if side := binding.side:
        row |= {"side_table": side.name, "side_key": side.key, "side_content": side.content}
    where = {"table": regclass(binding.table), "column": binding.column}
    if number := connection.execute(_COLUMN_NUMBER, where).first():
        row |= {"table_oid": number.attrelid, "attnum": number.attnum}
    connection.execute(sa.insert(CONTRACT).values(row))


def take_long_texts(connection: sa.Connection, binding: Binding) -> bool:
    """Binds a column, whose long texts were refused so far, to the space of `binding`, which takes
    them. Returns False, and changes nothing, when it is bound to any other space, or to none."""
    for bound in read_bindings(connection, binding.table):
        is_same = (bound.column, bound.where) == (binding.column, binding.where)
        if is_same and binding.space.only_adds_to(bound.space):
            space = binding.space
            change = sa.update(CONTRACT).where(*_is_row(bound.table, bound.column, bound.where))
            values = {"template": space.template, "fingerprint": space.fingerprint}
            return bool(connection.execute(change.values(values)).rowcount)
    return False


def unbind(connection: sa.Connection, table: str, column: str, where: str = "") -> None:
    """Removes a binding, if it is there."""
    connection.execute(sa.delete(CONTRACT).where(*_is_row(table, column, where)))


def rename(connection: sa.Connection, table: str, names: Mapping[str, str]) -> None:
    """Follows columns that were renamed: new names by old ones. A name is freed before another
    column takes it: PostgreSQL checks the key row by row."""
    left = dict(names)
    while free := [old for old, new in left.items() if new not in left]:
        for old in free:
            change = sa.update(CONTRACT).where(
                CONTRACT.c.table_name == table, CONTRACT.c.column_name == old
            )
            connection.execute(change.values(column_name=left.pop(old)))


def set_state(
    connection: sa.Connection, table: str, column: str, state: str, where: str = ""
) -> None:
    """READY or FILLING."""
    connection.execute(
        sa.update(CONTRACT).where(*_is_row(table, column, where)).values(state=state)
    )


def set_cutoff(
    connection: sa.Connection, table: str, column: str, cutoff: float | None, where: str = ""
) -> None:
    """A running app follows within seconds; see `SearchService`."""
    _add_missing_columns(connection)
    connection.execute(
        sa.update(CONTRACT).where(*_is_row(table, column, where)).values(cutoff=cutoff)
    )


def set_oversampling(
    connection: sa.Connection, table: str, column: str, oversampling: int | None, where: str = ""
) -> None:
    """As set_cutoff, for the candidates of an index of bits; None: there is no such index."""
    _add_missing_columns(connection)
    change = sa.update(CONTRACT).where(*_is_row(table, column, where))
    connection.execute(change.values(oversampling=oversampling))


def _add_missing_columns(connection: sa.Connection) -> None:
    """Those that a contract of an earlier version does not have."""
    run, contract = connection.exec_driver_sql, f"{SCHEMA}.{CONTRACT.name}"
    columns = sa.inspect(connection).get_columns(CONTRACT.name, schema=SCHEMA)
    present = {column["name"] for column in columns}
    for column in CONTRACT.columns:
        if column.name not in present:
            kind = column.type.compile(connection.dialect)
            kind += " not null default ''" if column.primary_key else ""
            run(f"alter table {contract} add column {column.name} {kind}")
    if not {column.name for column in CONTRACT.primary_key} <= present:
        key = ", ".join(column.name for column in CONTRACT.primary_key)
        constraint = quote_identifier(f"{CONTRACT.name}_pkey")
        run(f"alter table {contract} drop constraint {constraint}, add primary key ({key})")


def _is_row(table: str, column: str, where: str) -> tuple[sa.ColumnElement[bool], ...]:
    row = CONTRACT.c
    return row.table_name == table, row.column_name == column, row.condition == where

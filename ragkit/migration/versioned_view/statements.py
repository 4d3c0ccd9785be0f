"""The statements that make the view and take it away, as text: run by a step, shown before it."""

import hashlib
from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier, quote_literal
from ragkit.migration.migration import Migration
from ragkit.migration.schema.consistency import short_name
from ragkit.migration.terms.lookup import Lookup
from ragkit.retrieval.contract import SCHEMA

MARK = "ragkit: "
"""How the comments on ragkit's views and schemas of views begin."""
SCHEMA_MARK = f"{MARK}views for new revisions of an app"
INVOKER_VERSION = 150_000
"""The first server whose views can ask for the rights of whoever reads them."""
_COLUMNS = sa.text("""
    select attname as name, attgenerated <> '' as is_generated,
           case when attidentity = '' and attgenerated = '' then pg_get_expr(d.adbin, d.adrelid)
                when attidentity <> '' then (
                    select format('nextval(%L::regclass)', s.objid::regclass) from pg_depend s
                    where s.classid = 'pg_class'::regclass and s.deptype = 'i'
                      and s.refobjid = a.attrelid and s.refobjsubid = a.attnum) end as filled
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = to_regclass(:table) and a.attnum > 0 and not a.attisdropped
    order by a.attnum
""")
_BY_INVOKER = sa.text("""
    select current_setting('server_version_num')::int >= :first and not exists (
        select from pg_attribute
        where attrelid = to_regclass(:table) and attacl is not null and not attisdropped)
""")
# A COPY, and an INSERT, of a view with this trigger, which the view's check option does not see. A
# generated column fills itself.
_COPY_FUNCTION = """
create or replace function {function}() returns trigger language plpgsql as ${tag}$
begin{check}
    insert into {table} ({columns}) overriding system value values ({values});
    return new;
end ${tag}$
"""
_CHECK = """
    if {is_in_scope} is not true then
        raise with_check_option_violation
            using message = 'the view takes no row outside of its filter';
    end if;"""


def view_name(migration: Migration) -> str:
    """As SQL."""
    return quote_identifier(migration.plan.app.view_schema, migration.plan.table.name)


def create_schema(migration: Migration) -> list[str]:
    schema = quote_identifier(migration.plan.app.view_schema)
    comment = f"comment on schema {schema} is {quote_literal(SCHEMA_MARK)}"
    return [f"create schema {schema}", comment]


def drop_schema(migration: Migration) -> str:
    return f"drop schema {quote_identifier(migration.plan.app.view_schema)}"


def create_view(connection: sa.Connection, migration: Migration) -> str:
    """With the table's columns in the table's order, and the rows of `table.where`. A plain view:
    PostgreSQL writes through it and searches by the indexes of the table.

    It asks for the rights of whoever reads it, so that row-level security is that of the table. A
    view before PostgreSQL 15 cannot, and where somebody may read a few columns only, it must not:
    such a view asks for all of its columns. Then the rights on the view decide."""
    old, new = migration.plan.old.column, migration.plan.new.column
    shown = [
        f"{quote_identifier(new)} as {quote_identifier(old)}"
        if column.name == old
        else quote_identifier(column.name)
        for column in _columns(connection, migration)
        if column.name != new
    ]
    values = {"table": migration.quoted_table, "first": INVOKER_VERSION}
    by_invoker = connection.scalar(_BY_INVOKER, values)
    options = " with (security_invoker = true)" if by_invoker else ""
    columns, table, where = ", ".join(shown), migration.quoted_table, migration.terms.where
    rows = f" where {where.sql} with local check option" if where else ""
    return f"create view {view_name(migration)}{options} as select {columns} from {table}{rows}"


def mark_of(migration: Migration, sql: list[str]) -> str:
    """The comment by which the view is known as ragkit's, and as the one that these statements
    make."""
    digest = hashlib.sha256("; ".join(sql).encode()).hexdigest()[:16]
    return f"{MARK}{migration.id} ({digest})"


def comment_on_view(migration: Migration, mark: str) -> str:
    return f"comment on view {view_name(migration)} is {quote_literal(mark)}"


def copy_sql(connection: sa.Connection, migration: Migration) -> Iterator[str]:
    """What lets an app COPY into the view. The view needs defaults of its own, because the trigger
    cannot tell a column that was left out from one that is NULL."""
    plan, view, where = migration.plan, view_name(migration), migration.terms.where
    listed, values = [], []
    for column in _columns(connection, migration):
        if column.name == plan.new.column or column.is_generated:
            continue
        name = quote_identifier(column.name)
        listed.append(quote_identifier(plan.new.column) if column.name == plan.old.column else name)
        values.append(f"new.{name}")
        if column.filled and column.name != plan.old.column:
            yield f"alter view {view} alter column {name} set default {column.filled}"
    yield _COPY_FUNCTION.format(
        function=copy_function(migration), tag=short_name("body", migration.id),
        table=migration.quoted_table, columns=", ".join(listed), values=", ".join(values),
        check=_CHECK.format(is_in_scope=where.of("new")) if where else "",
    ).strip()  # fmt: skip
    yield (
        f"create trigger {quote_identifier(short_name('copy', migration.id))} "
        f"instead of insert on {view} for each row execute function {copy_function(migration)}()"
    )


def copy_function(migration: Migration) -> str:
    return quote_identifier(SCHEMA, short_name("copy", migration.id))


def drop_view(migration: Migration) -> list[str]:
    """With the function of its trigger, if it has one."""
    return [
        f"drop view if exists {view_name(migration)}",
        f"drop function if exists {copy_function(migration)}()",
    ]


def lock_view(migration: Migration) -> list[str]:
    """And with it the table, in the order in which whoever reads it takes the two."""
    return [*lock_texts(migration), f"lock table {view_name(migration)} in access exclusive mode"]


def lock_texts(migration: Migration) -> list[str]:
    """Before a column is renamed: a trigger there, which has looked up its name, would wait for the
    table and then not find it."""
    texts = migration.terms.content
    if not isinstance(texts, Lookup):
        return []
    return [f"lock table {texts.table} in share row exclusive mode"]


def rename_column(migration: Migration, column: str, name: str) -> str:
    old, new = quote_identifier(column), quote_identifier(name)
    return f"alter table {migration.quoted_table} rename column {old} to {new}"


def _columns(connection: sa.Connection, migration: Migration) -> Sequence[sa.Row]:  # type: ignore[type-arg]
    return connection.execute(_COLUMNS, {"table": migration.quoted_table}).all()

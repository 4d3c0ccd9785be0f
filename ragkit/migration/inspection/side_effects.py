"""What a migration makes visible to others who use the table, told before anything is changed."""

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import translate_errors
from ragkit.deploy.project_checks import Check
from ragkit.migration import phases
from ragkit.migration.migration import Migration
from ragkit.migration.partitions.tree import TREE
from ragkit.migration.terms.beside_values import as_column

_ALL_COLUMNS = (
    r"select\s+(\w+\.)?\*|insert\s+into\s+[\w.\"]+\s+(select|values)|copy\s+[\w.\"]+\s+(from|to)"
)
"""A regular expression of statements that take all columns of a table, without naming them."""
_FUNCTIONS = sa.text("""
    select p.oid::regprocedure::text from pg_proc p, pg_class c
    where c.oid = to_regclass(:table) and (
        c.reltype = p.prorettype or c.reltype = any (p.proargtypes)
        or p.prokind in ('f', 'p') and strpos(lower(p.prosrc), lower(:name)) > 0
           and p.prosrc ~* :all_columns)
    order by 1
""")
_STATEMENTS = sa.text("""
    select left(regexp_replace(query, '\\s+', ' ', 'g'), 100) from pg_stat_statements
    where dbid = (select oid from pg_database where datname = current_database())
      and strpos(lower(query), lower(:name)) > 0 and query ~* :all_columns
    order by calls desc limit 5
""")
_TRIGGERS = sa.text(f"""{TREE}
    select tgname from pg_trigger join tree on tree.oid = tgrelid
    where (not tgisinternal or tgparentid <> 0) and tgenabled <> 'D'
      and tgtype & 16 <> 0 and tgattr::text = ''
      and not starts_with(tgname, 'zz_ragkit_') and not starts_with(tgname, 'RI_')
    union
    select rulename from pg_rewrite where ev_class = to_regclass(:table) and ev_type = '2'
    order by 1
""")
_NOT_VALID = sa.text(f"""{TREE}
    select c.conname, string_agg(distinct coalesce(
        pg_get_expr(c.conbin, c.conrelid), format('%I is not null', a.attname)), ' and ')
    from pg_constraint c join tree on tree.oid = c.conrelid
    left join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
    where c.contype in ('c', 'n') and not c.convalidated
    and pg_get_constraintdef(c.oid) !~ ' NOT ENFORCED$'
    group by c.conname order by c.conname
""")
_PUBLICATIONS = sa.text(f"""{TREE}
    select distinct pubname from pg_publication_tables t
    join pg_class c on c.oid in (select oid from tree) and c.relname = t.tablename
    join pg_namespace n on n.oid = c.relnamespace and n.nspname = t.schemaname
    order by 1
""")
_ISOLATION = sa.text("""
    select distinct coalesce(r.rolname, 'every role') from pg_db_role_setting s
    left join pg_roles r on r.oid = s.setrole, unnest(s.setconfig) setting
    where setting ~ '^default_transaction_isolation=(repeatable read|serializable)'
      and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
    union
    select 'every role' where current_setting('default_transaction_isolation')
        in ('repeatable read', 'serializable')
    order by 1
""")


def side_effects(migration: Migration) -> list[Check]:
    """None fails: each is something to know. [] once the backfill is complete, and for a side
    table, which adds no column and writes no row.

    Raises DatabaseError.
    """
    if migration.new_side or migration.phase() not in (phases.PLANNED, phases.EXPANDED):
        return []
    table, name = migration.quoted_table, migration.plan.table.name
    with translate_errors("looking for side effects"), migration.engine.connect() as connection:

        def names(query: sa.TextClause, **values: str) -> list[str]:
            return list(connection.scalars(query, {"table": table, **values}))

        return [
            _all_columns(
                names(_FUNCTIONS, name=name, all_columns=_ALL_COLUMNS),
                _seen_statements(connection, name),
            ),
            *_update_triggers(names(_TRIGGERS)),
            *_publications(names(_PUBLICATIONS), migration),
            *_isolation(names(_ISOLATION)),
            *_constraints(connection, migration),
        ]


def _seen_statements(connection: sa.Connection, name: str) -> list[str]:
    """By pg_stat_statements, where it is installed and may be read."""
    if not connection.scalar(sa.text("select to_regclass('pg_stat_statements') is not null")):
        return []
    try:
        with connection.begin_nested():
            values = {"name": name, "all_columns": _ALL_COLUMNS}
            return list(connection.scalars(_STATEMENTS, values))
    except DBAPIError:
        return []


def _all_columns(functions: list[str], statements: list[str]) -> Check:
    observed = (
        "a statement that takes all columns sees one more: a prepared SELECT * fails once with "
        '"cached plan must not change result type", INSERT and COPY without a column list may fail'
    )
    if functions:
        observed += f"; functions to look at: {', '.join(functions)}"
    if statements:
        observed += f"; statements that were run: {'; '.join(statements)}"
    return Check("all columns", observed, None, "name the columns in such statements")


def _update_triggers(names: list[str]) -> Iterator[Check]:
    if names:
        observed = f"{', '.join(names)}: fires for each row that the backfill writes"
        fix = "fire it on the columns it is about: CREATE TRIGGER … BEFORE UPDATE OF column, …"
        yield Check("UPDATE triggers", observed, None, fix)


def _publications(names: list[str], migration: Migration) -> Iterator[Check]:
    if names:
        column = migration.plan.new.column
        observed = (
            f"{', '.join(names)}: each row is sent again with its vector, and a subscriber without "
            f"the column {column!r} stops"
        )
        fix = "add the column at the subscriber first, or leave it out by a column list"
        yield Check("publications", observed, None, fix)


def _constraints(connection: sa.Connection, migration: Migration) -> Iterator[Check]:
    """Those that are not valid, and that some row breaks; all in one scan."""
    table = migration.quoted_table
    found = connection.execute(_NOT_VALID, {"table": table}).all()
    broken = [
        sa.func.count().filter(as_column(f"({rule}) is false", sa.Boolean())) for _, rule in found
    ]
    counts = connection.execute(migration.select(*broken)).one() if found else ()
    for (name, _), rows in zip(found, counts, strict=True):
        if rows:
            observed = (
                f"{rows:,} rows break {name}, which is NOT VALID: no UPDATE of them works, so that "
                "they become dead letters once they are embedded"
            )
            fix = f"mend the rows, then: ALTER TABLE {table} VALIDATE CONSTRAINT "
            yield Check("constraints", observed, None, f"{fix}{quote_identifier(name)};")


def _isolation(roles: list[str]) -> Iterator[Check]:
    if roles:
        observed = (
            f"REPEATABLE READ or SERIALIZABLE for {', '.join(roles)}: a transaction that changes a "
            "row which the backfill wrote after it began fails with SQLSTATE 40001"
        )
        yield Check("isolation", observed, None, "let the app repeat such a transaction")

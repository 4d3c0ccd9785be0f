"""A table as people have them, and what must be the same after a rehearsal."""

import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.runbook import Runbook
from ragkit.runbook.rehearsal.steps import Rehearsal
from tests.conftest import changed, make_plan, make_table

ROWS = 400
PLACES = [f"Place {n} is a shop number {n * 7919 % 97}. Wool and {n}." for n in range(ROWS)]
RELATIONS = """
    select c.oid, c.relname, c.relfilenode, c.relhastriggers, c.reloptions::text, a.attnum,
           a.attname, a.atttypid, a.attnotnull, t.tgname, d.adbin::text, i.indisvalid
    from pg_class c left join pg_attribute a on a.attrelid = c.oid
    left join pg_trigger t on t.tgrelid = c.oid left join pg_index i on i.indexrelid = c.oid
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relnamespace = 'public'::regnamespace order by 1, 6, 10
"""
ROW_VERSIONS = 'select ctid, xmin, xmax, md5(t::text) from "Amenities" t order by 1'
OWN = """
    select c.relname from pg_class c where c.relnamespace = to_regnamespace('ragkit')
    and c.relkind in ('r', 'p')
"""
OBJECTS = """
    select proname from pg_proc where pronamespace = to_regnamespace('ragkit')
    union all select relname from pg_class
    where relnamespace = to_regnamespace('ragkit') and (relispartition or relname like 'vectors%')
    order by 1
"""


def make_places(engine, plan):
    """With an index on the old column, a generated column, an identity, a default from a sequence,
    a check, and a fill factor."""
    make_table(engine, plan, PLACES)
    with engine.begin() as connection:
        for statement in (
            'create index on "Amenities" using hnsw (embedding vector_cosine_ops)',
            'create sequence "a number"',
            'alter table "Amenities" add words tsvector generated always as '
            "(to_tsvector('english', content)) stored, add number bigint generated always as "
            "identity, alter name set default nextval('\"a number\"'), "
            "add check (name <> 'nobody'), set (fillfactor = 90)",
            'create index on "Amenities" using gin (words)',
        ):
            connection.exec_driver_sql(statement)


@pytest.fixture
def table(engine, plan):
    make_places(engine, plan)


@pytest.fixture
def runbook(engine, table, monkeypatch, tmp_path):
    """Of a plan with these changes."""
    monkeypatch.setenv("DATABASE_URL", engine.url.render_as_string())

    def make(**changes):
        settings = {"backfill.batch_size": 0, "backfill.in_flight": 0, "app.target": "none"}
        settings |= {name.replace("__", "."): value for name, value in changes.items()}
        return Runbook(changed(make_plan(), settings), tmp_path / "run")

    return make


@pytest.fixture
def seen(engine):
    """Everything of the user's own: objects of the catalogue, and each row's version."""

    def look():
        with autocommit(engine) as connection:
            return [connection.exec_driver_sql(sql).all() for sql in (RELATIONS, ROW_VERSIONS)]

    return look


@pytest.fixture
def leftovers(engine):
    """What a rehearsal has left in the database, but for its event and its money."""

    def look():
        with engine.connect() as connection:
            schemas = "select nspname from pg_namespace where nspname = 'ragkit_rehearsal'"
            found = list(connection.scalars(sa.text(schemas)))
            for name in connection.scalars(sa.text(OWN)).all():
                rows = f"select t::text from ragkit.\"{name}\" t where t::text ~ 'ragkit_rehearsal'"
                found += connection.scalars(sa.text(rows)).all()
            return found + connection.scalars(sa.text(OBJECTS)).all()

    return look


def rehearse(runbook, share=1.0, clone=""):
    """Every step; the rehearsal, and its forecast."""
    rehearsal = Rehearsal(runbook, share, clone)
    with rehearsal:
        rehearsal.copy()
        list(rehearsal.fill())
        rehearsal.build(lambda _: None)
        rehearsal.compare()
        forecast = rehearsal.forecast()
    return rehearsal, forecast

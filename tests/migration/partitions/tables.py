"""Partitioned tables to migrate."""

import sqlalchemy as sa

from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.schema.expansion import expand
from tests.conftest import make_table

HASH = (
    'create table "Amenities" (like "Plain" including all) partition by hash (id)',
    'create table "Part 0" partition of "Amenities" for values with (modulus 3, remainder 0)',
    'create table "Part 1" partition of "Amenities" for values with (modulus 3, remainder 1)',
    'create table "Part 2" partition of "Amenities" for values with (modulus 3, remainder 2) '
    "partition by range (id)",
    'create table "Part 2 low" partition of "Part 2" for values from (minvalue) to (100)',
    'create table "Part 2 high" partition of "Part 2" for values from (100) to (maxvalue)',
)
RANGE = (
    'create table "Amenities" (like "Plain" including all) partition by range (id)',
    'create table low partition of "Amenities" for values from (0) to (4)',
    'create table high partition of "Amenities" for values from (4) to (1000)',
)


def make_partitioned(
    engine: sa.Engine, plan: Plan, texts: list[str | None], statements: tuple[str, ...] = HASH
) -> None:
    """The plan's table, as tests.conftest.make_table makes it, in partitions."""
    make_table(engine, plan, texts)
    run(
        engine,
        'alter table "Amenities" rename to "Plain"',
        *statements,
        'insert into "Amenities" select * from "Plain"',
        'drop table "Plain" cascade',
    )


def expanded(
    engine: sa.Engine, plan: Plan, texts: list[str | None], statements: tuple[str, ...] = HASH
) -> Migration:
    make_partitioned(engine, plan, texts, statements)
    migration = Migration.open(plan, engine)
    expand(migration)
    return migration


def run(engine: sa.Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)

import re

import pytest

from ragkit.errors import SchemaError
from ragkit.migration.migration import Migration
from tests.conftest import ROLE, TEXTS, changed
from tests.migration.partitions.tables import RANGE, make_partitioned, run

COLUMNS = "id int not null, name text not null, content text, embedding vector(256)"


@pytest.fixture
def superuser(server, engine):
    engine = server.engine(database=engine.url.database)
    yield engine
    engine.dispose()


def refusal(engine, plan) -> str:
    with pytest.raises(SchemaError) as error:
        Migration.open(plan, engine)
    return str(error.value)


def test_a_key_that_is_unique_only_with_other_columns(engine, plan):
    columns = f"{COLUMNS}, primary key (id, name)"
    run(engine, f'create table "Amenities" ({columns}) partition by list (name)')
    assert (
        "key 'id' is not unique and NOT NULL: the table is partitioned by name too, and so "
        "PostgreSQL keeps id unique only together with it: set table.key: [id, name]"
        in refusal(engine, plan)
    )


def test_also_where_a_lower_level_is_partitioned_by_another_column(engine, plan):
    run(
        engine,
        f'create table "Amenities" ({COLUMNS}) partition by hash (id)',
        'create table part partition of "Amenities" for values with (modulus 1, remainder 0) '
        "partition by list (lower(name))",
    )
    assert "is partitioned by an expression too" in refusal(engine, plan)


def test_a_key_without_a_unique_index(engine, plan):
    run(engine, f'create table "Amenities" ({COLUMNS}) partition by hash (id)')
    assert "NOT NULL: choose or create such a key" in refusal(engine, plan)


def test_a_foreign_partition(engine, plan, superuser):
    run(
        superuser,
        f'create table "Amenities" ({COLUMNS}) partition by range (id)',
        f'alter table "Amenities" owner to "{ROLE}"',
        "create foreign data wrapper w",
        "create server s foreign data wrapper w",
        'create foreign table far partition of "Amenities" for values from (0) to (9) server s',
    )
    assert "partition far is a foreign table" in refusal(engine, plan)


def test_a_partition_and_its_root_is_named(engine, plan):
    make_partitioned(engine, plan, TEXTS)
    message = refusal(engine, changed(plan, {"table.name": "Part 2 low"}))
    assert 'set table.schema and table.name to those of "Amenities"' in message


def test_a_side_table(engine, plan):
    make_partitioned(engine, plan, TEXTS)
    beside = changed(plan, {"new.placement": "side_table"})
    assert "set new.placement: column" in refusal(engine, beside)


def test_partitions_of_another_owner_with_statements_that_help(engine, plan, superuser):
    make_partitioned(engine, plan, TEXTS, RANGE)
    owner = superuser.url.username
    run(
        superuser,
        "create schema closed",
        "alter table low set schema closed",
        f'alter table closed.low owner to "{owner}"',
    )
    message = refusal(engine, plan)
    statements = re.findall(r"(?:ALTER TABLE|GRANT) [^;]+;", message)
    assert len(statements) == 2
    run(superuser, *statements)
    assert Migration.open(plan, engine)


def test_triggers_of_a_partition_that_fire_later(engine, plan):
    make_partitioned(engine, plan, TEXTS, RANGE)
    run(
        engine,
        "create function f() returns trigger language plpgsql as 'begin return new; end'",
        "create trigger zzz before update on low for each row execute function f()",
    )
    assert "trigger 'zzz' fires after the one that clears vectors" in refusal(engine, plan)

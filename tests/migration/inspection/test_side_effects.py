"""Each thing that is told comes true when the migration goes on."""

import pytest
import sqlalchemy as sa

from ragkit.database.translate import sqlstate
from ragkit.migration import phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.inspection.side_effects import side_effects
from ragkit.migration.progress import dead_letters
from ragkit.migration.progress.audit import audit
from ragkit.migration.schema.expansion import expand
from tests.conftest import TEXTS


def told(migration):
    """What was observed, by the name of the check."""
    return {check.name: check.observed for check in side_effects(migration)}


def run(engine, *statements):
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_without_anything_special_only_all_columns_are_told(migration):
    assert list(told(migration)) == ["all columns"]
    assert "functions" not in told(migration)["all columns"]


def test_a_prepared_select_of_all_columns_fails_once(migration, engine):
    assert "cached plan must not change result type" in told(migration)["all columns"]
    table = migration.quoted_table
    with engine.connect() as connection:
        connection.exec_driver_sql(f"prepare everything as select * from {table}")
        connection.exec_driver_sql("execute everything")
        connection.commit()
        expand(migration)
        with pytest.raises(sa.exc.DBAPIError, match="cached plan must not change result type"):
            connection.exec_driver_sql("execute everything")


def test_a_function_that_takes_all_columns_is_named_and_fails(migration, engine):
    table = migration.quoted_table
    run(
        engine,
        f"create table archive as select * from {table} limit 0",
        "create function keep_all() returns void language sql as "
        f"$$ insert into archive select * from {table} $$",
        f"create function label_of(r {table}) returns text language sql as $$ select r.name $$",
        f"create function harmless() returns bigint language sql as "
        f"$$ select count(*) from {table} $$",
        "select keep_all()",
    )
    observed = told(migration)["all columns"]
    assert "keep_all()" in observed
    assert "label_of(" in observed
    assert "harmless" not in observed
    expand(migration)
    with pytest.raises(sa.exc.DBAPIError, match="more expressions than target columns"):
        run(engine, "select keep_all()")


def test_an_update_trigger_is_named_and_fires(migration, engine, new_embedder):
    table = migration.quoted_table
    run(
        engine,
        f"alter table {table} add column updated_at timestamptz",
        "create function touch() returns trigger language plpgsql as "
        "$$ begin new.updated_at := now(); return new; end $$",
        f"create trigger touch before update on {table} for each row execute function touch()",
        f"create trigger on_name before update of name on {table} for each row "
        "execute function touch()",
    )
    assert told(migration)["UPDATE triggers"].startswith("touch: ")
    expand(migration)
    assert told(migration)["UPDATE triggers"].startswith("touch: ")  # not our own
    list(run_backfill(migration, new_embedder))
    with engine.connect() as connection:
        count = connection.exec_driver_sql(f"select count(updated_at) from {table}").scalar()
    assert count == 6
    assert migration.phase() == phases.BACKFILLED
    assert side_effects(migration) == []


def test_a_publication_is_named(migration, engine, server):
    admin = server.engine(database=engine.url.database)
    run(admin, f"create publication everything for table {migration.quoted_table}")
    admin.dispose()
    assert told(migration)["publications"].startswith("everything: each row is sent again")


def test_a_stricter_isolation_is_named_and_its_transaction_fails(
    migration, engine, new_embedder, server
):
    name, database = engine.url.username, engine.url.database
    admin = server.engine(database=database)
    setting = f'alter role "{name}" in database "{database}" set default_transaction_isolation'
    run(admin, f"{setting} = 'repeatable read'")
    admin.dispose()
    assert told(migration)["isolation"].startswith(f"REPEATABLE READ or SERIALIZABLE for {name}: ")
    expand(migration)
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.execute(migration.select(sa.func.count()))
        list(run_backfill(migration, new_embedder))
        with pytest.raises(sa.exc.DBAPIError) as error:
            connection.execute(sa.update(migration.table).values({"name": "x"}))
        assert sqlstate(error.value) == "40001"


def test_rows_that_no_update_works_on_are_counted_and_become_dead_letters(
    migration, engine, new_embedder
):
    table = migration.quoted_table
    run(
        engine,
        f"alter table {table} add constraint kept check (id > 0) not valid",
        f"alter table {table} add constraint late check (id % 3 <> 2) not valid",
    )
    assert told(migration)["constraints"].startswith("2 rows break late")
    expand(migration)
    list(run_backfill(migration, new_embedder))
    assert {letter.key for letter in dead_letters.list_all(migration)} == {"2", "5"}
    assert migration.phase() == phases.BACKFILLED
    run(engine, f"alter table {table} drop constraint late")
    dead_letters.clear(migration)
    list(run_backfill(migration, new_embedder))
    assert dead_letters.list_all(migration) == []
    assert audit(migration).filled == len(TEXTS)

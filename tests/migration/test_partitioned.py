"""A partitioned table, and what its partitions may do during a migration."""

import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.migration import phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.discovery.tables import find_tables
from ragkit.migration.inspection import inventory
from ragkit.migration.inspection.whose.vector_sample import sample_old
from ragkit.migration.migration import Migration
from ragkit.migration.preview.steps import plan_statements
from ragkit.migration.preview.trial import run_trial
from ragkit.migration.progress.audit import audit
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.migration.schema.trigger_faults import trigger_faults
from ragkit.migration.schema.writing import write_sql
from ragkit.migration.status import read_status
from ragkit.retrieval.guarded_write import SETTINGS
from tests.conftest import (
    TEXTS,
    changed,
    column_of,
    gates_of,
)
from tests.migration.backfill.test_follower import vector
from tests.migration.backfill.test_together import BACKFILL, check_end, texts_of
from tests.migration.backfill.vectors import check_vectors
from tests.migration.partitions.tables import RANGE, expanded, make_partitioned, run
from tests.processes import Script
from tests.stand_ins.recording import RecordingEmbedder


def test_it_is_found_inspected_and_previewed(engine, plan, new_embedder):
    make_partitioned(engine, plan, TEXTS)
    run(engine, "analyze")
    (table,) = find_tables(engine)
    assert (table.kind, table.rows, table.keys) == ("partitioned table", 6, ["id"])
    assert str(table).endswith("(256 dimensions, about 6 rows, partitioned table)")
    migration = Migration.open(plan, engine)
    (column,) = inventory.vector_columns(migration)
    assert (column.table, column.rows) == ("public.Amenities", 6)
    assert column.bytes >= 3 * 8192
    assert sample_old(migration).vectors.shape == (6, 256)
    assert run_trial(migration).placements.column.seconds > 0
    told = plan_statements(migration, "a minute", "a second")
    assert sum(s.sql.startswith("create index concurrently") for s in told) == 4
    assert read_status(migration, None).total == 6


@pytest.mark.timeout(120)
def test_two_backfills_share_the_partitions(engine, plan, new_embedder):
    plan = changed(plan, {"backfill.batch_size": 16})
    texts = [f"{text} {n}." for n in range(200) for text in TEXTS]
    migration = expanded(engine, plan, texts)
    arguments = [plan.model_dump_json(), engine.url.render_as_string()]
    processes = [Script(BACKFILL, *arguments) for _ in range(2)]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        embedded = [texts_of(process) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert all(embedded)
    assert sorted(embedded[0] + embedded[1]) == sorted(texts)
    check_end(migration, new_embedder)


def test_a_row_that_moves_to_another_partition_is_queued_and_filled(engine, plan, new_embedder):
    migration = expanded(engine, plan, TEXTS, RANGE)
    list(run_backfill(migration, new_embedder))
    run(
        engine,
        'update "Amenities" set id = 500 where id = 1',  # keeps its vector
        "update \"Amenities\" set id = 501, content = 'Moved and edited.' where id = 2",
    )
    assert vector(migration, 500) is not None
    assert vector(migration, 501) is None
    with engine.connect() as connection:
        assert connection.scalars(sa.text("select key from ragkit.queue")).all() == ["501"]
    list(run_backfill(migration, new_embedder))
    check_vectors(migration, new_embedder)


def test_a_row_without_a_vector_that_moves_during_the_sweep_is_filled(engine, plan, new_embedder):
    migration = expanded(engine, plan, TEXTS, RANGE)
    run(engine, 'update "Amenities" set id = id + 500 where id < 3')
    list(run_backfill(migration, new_embedder))
    check_vectors(migration, new_embedder)


def test_writes_that_name_a_partition_are_seen(engine, plan, new_embedder):
    migration = expanded(engine, plan, TEXTS, RANGE)
    list(run_backfill(migration, new_embedder))
    run(
        engine,
        "insert into high (id, name, content) values (900, 'n', 'By its own name.')",
        "update low set content = 'Edited.' where id = 1",
    )
    assert vector(migration, 1) is None
    list(run_backfill(migration, new_embedder))
    check_vectors(migration, new_embedder)


def make_part(engine, name, first, rows, **values):
    """A table of its own, with other column numbers than the root."""
    run(
        engine,
        f'create table {name} (gone int, "new vector" vector(64), embedding vector(256), '
        "content text, description text, name text, id int primary key)",
        f"alter table {name} drop column gone",
        f"insert into {name} (id, name, content) "
        f"select {first} + n, 'n', 'Row ' || n from generate_series(0, {rows - 1}) n",
    )


def test_a_partition_that_is_attached_later_is_walked(engine, plan, new_embedder):
    migration = expanded(engine, plan, TEXTS, RANGE)
    list(run_backfill(migration, new_embedder))
    make_part(engine, "more", 1000, 5)
    run(engine, 'alter table "Amenities" attach partition more for values from (1000) to (2000)')
    assert not gates_of(migration)["coverage"].passed
    list(run_backfill(migration, new_embedder))
    check_vectors(migration, new_embedder)
    assert gates_of(migration)["coverage"].passed
    run(engine, "update more set content = 'Edited.' where id = 1001")  # by its own numbers
    assert vector(migration, 1001) is None
    list(run_backfill(migration, new_embedder))
    check_vectors(migration, new_embedder)


@pytest.mark.parametrize("way", ["detach", "drop", "rename", "vacuum"])
def test_a_partition_may_go_or_change_while_its_rows_are_with_the_model(
    engine, plan, new_embedder, way
):
    texts = [f"{text} {n}." for n in range(5) for text in TEXTS]
    migration = expanded(engine, plan, texts, RANGE)
    statement = {
        "detach": 'alter table "Amenities" detach partition high',
        "drop": "drop table high",
        "rename": "alter table high rename to higher",
        "vacuum": "vacuum full high",
    }[way]
    seen = []

    def act(chosen):
        seen.append(chosen)
        if len(seen) == 3:  # rows of `high` are claimed, and more of them are to be read
            with autocommit(engine) as connection:
                connection.exec_driver_sql(statement)

    list(run_backfill(migration, RecordingEmbedder(new_embedder, act)))
    check_vectors(migration, new_embedder)
    assert len(column_of(engine, migration, "content")) == (3 if way in ("detach", "drop") else 30)
    assert migration.phase() == phases.BACKFILLED
    assert audit(migration).pending == 0


def test_a_table_without_partitions_is_complete(engine, plan, new_embedder):
    migration = expanded(engine, plan, TEXTS, RANGE)
    run(engine, "drop table low", "drop table high")
    list(run_backfill(migration, new_embedder))
    assert migration.phase() == phases.BACKFILLED
    assert index.build(migration).valid


def test_one_write_touches_one_partition(engine, plan):
    """By EXPLAIN of the writer's statement: the other partitions are opened, and never read."""
    migration = expanded(engine, plan, TEXTS)
    leaves = {"Part 0", "Part 1", "Part 2 low", "Part 2 high"}
    with engine.begin() as connection:
        for name, value in SETTINGS.items():
            connection.execute(sa.select(sa.func.set_config(name, value, True)))
        run_sql = connection.exec_driver_sql
        run_sql(f"prepare w (text[], text[], vector[]) as {write_sql(migration)}")
        for mode, number in (("force_custom_plan", 5), ("force_generic_plan", 6)):
            run_sql(f"set local plan_cache_mode = {mode}")
            row = f"array['{number}'], array['{TEXTS[number - 1]}'], array['{[1.0] * 64}'::vector]"
            (explained,) = run_sql(
                f"explain (analyze, format json, costs off, timing off) execute w({row})"
            ).scalar()
            assert len(read_by(explained["Plan"]) & leaves) == 1, mode
        assert run_sql('select count("new vector") from "Amenities"').scalar() == 2


def read_by(plan):
    """The tables that a plan has read."""
    tables = set().union(*(read_by(part) for part in plan.get("Plans", [])))
    if "Relation Name" in plan and plan["Node Type"] != "ModifyTable" and plan["Actual Loops"]:
        tables.add(plan["Relation Name"])
    return tables


def test_a_trigger_that_is_disabled_on_one_partition_is_told_and_put_back(engine, plan):
    migration = expanded(engine, plan, TEXTS)
    with engine.connect() as connection:
        assert trigger_faults(connection, migration) == []
    name = sa.text("select tgname from pg_trigger where tgname like 'zz_ragkit_clear%' limit 1")
    with engine.begin() as connection:
        trigger = connection.scalar(name)
        connection.exec_driver_sql(f'alter table "Part 2 low" disable trigger {trigger}')
        assert trigger_faults(connection, migration) == [
            f'{trigger} of "Part 2 low" is disabled'
        ]  # fmt: skip
    expand(migration)
    with engine.connect() as connection:
        assert trigger_faults(connection, migration) == []

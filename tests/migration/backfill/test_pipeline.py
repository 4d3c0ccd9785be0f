import os
import signal
import subprocess
import time
from dataclasses import replace

import pytest
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.embedding.load import load_embedder
from ragkit.errors import DatabaseError, ModelUnavailable, PhaseError, SpaceMismatch
from ragkit.migration import ledger, phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import RowCounts, count_rows
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.retrieval import contract
from ragkit.retrieval.service import SearchService
from ragkit.retrieval.space import READY
from tests.conftest import NEW, PYTHON, TEXTS, changed, column_of, environment, make_table
from tests.migration.backfill.vectors import check_vectors
from tests.stand_ins.recording import RecordingEmbedder


def fill(migration, embedder):
    expand(migration)
    return list(run_backfill(migration, embedder))


def test_every_row_gets_the_vector_of_its_text(migration, new_embedder):
    steps = fill(migration, new_embedder)
    assert (steps[0].done, steps[0].total) == (0, 6)
    assert (steps[-1].done, steps[-1].total) == (6, 6)
    done = [step.done for step in steps]
    assert done == sorted(done)
    check_vectors(migration, new_embedder)


def test_the_progress_counts_the_batches_that_are_with_the_model(migration, new_embedder):
    """Two rows a batch: while one is written, the next is with the model."""
    slow = RecordingEmbedder(new_embedder, lambda _: time.sleep(0.3))
    *steps, last = fill(migration, slow)
    assert [step.in_flight for step in steps] == [0, 1, 1, 0]
    assert (last.done, last.in_flight, last.waiting) == (6, 0, "")


def test_a_filled_column_is_ready_in_the_contract(migration, new_embedder):
    fill(migration, new_embedder)
    with migration.engine.connect() as connection:
        bindings = contract.read_bindings(connection, migration.plan.table.qualified_name)
        assert ledger.phase(connection, migration.id) == phases.BACKFILLED
    states = {binding.column: binding.state for binding in bindings}
    assert states == {"embedding": READY, "new vector": READY}


def test_a_second_run_embeds_nothing(migration, new_embedder):
    fill(migration, new_embedder)
    recorder = RecordingEmbedder(new_embedder)
    steps = list(run_backfill(migration, recorder))
    assert recorder.texts == []
    assert (steps[0].done, steps[-1].done) == (6, 6)


BLANK_TEXTS = [None, "", "  ", "\n\t", "\u00a0\u2003", "\u200b\ufeff"]


def test_rows_without_text_stay_empty_and_are_never_sent(engine, plan, new_embedder):
    make_table(engine, plan, [TEXTS[0], *BLANK_TEXTS, TEXTS[1]])
    migration = Migration.open(plan, engine)
    recorder = RecordingEmbedder(new_embedder)
    expand(migration)
    list(run_backfill(migration, recorder))
    assert recorder.texts == TEXTS[:2]
    with engine.connect() as connection:
        counts = count_rows(connection, migration)
    assert counts == RowCounts(rows=8, filled=2, pending=0, empty=6, dead_letters=0)
    assert counts.coverage == 1.0


def test_a_text_that_is_edited_during_its_embedding_gets_the_vector_of_the_new_text(
    migration, new_embedder
):
    edited = False

    def edit(texts):
        nonlocal edited
        if TEXTS[0] in texts and not edited:
            edited = True
            with migration.engine.begin() as connection:
                change = sa.update(migration.table).where(migration.key == 1)
                connection.execute(change.values(content="Edited meanwhile"))

    expand(migration)
    list(run_backfill(migration, RecordingEmbedder(new_embedder, edit)))
    assert edited
    check_vectors(migration, new_embedder)


def test_rows_that_are_inserted_or_deleted_during_a_backfill_end_with_their_vectors(
    migration, new_embedder
):
    changed_rows = False

    def change(texts):
        nonlocal changed_rows
        if not changed_rows:
            changed_rows = True
            with migration.engine.begin() as connection:
                connection.execute(sa.delete(migration.table).where(migration.key == 2))
                for key in (-5, 100):  # before and after the page that is read
                    row = {"id": key, "name": "n", "content": f"inserted {key}"}
                    connection.execute(sa.insert(migration.table).values(row))

    expand(migration)
    steps = list(run_backfill(migration, RecordingEmbedder(new_embedder, change)))
    assert steps[-1].done == 7
    check_vectors(migration, new_embedder)


def test_names_that_need_quotes_work_from_expand_to_search(engine, plan, new_embedder):
    names = {
        "table.schema": 'My "Shop" 50%',
        "table.name": "Rows:All",
        "table.key": "The Key",
        "table.content": "Te xt",
    }
    plan = changed(plan, {**names, "table.label": "Te xt"})
    table = sa.Table(
        plan.table.name, sa.MetaData(schema=plan.table.schema_name),
        sa.Column(plan.table.key, sa.Uuid, primary_key=True,
                  server_default=sa.func.gen_random_uuid()),
        sa.Column(plan.table.content, sa.Text), sa.Column(plan.old.column, VECTOR(256)),
    )  # fmt: skip
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema(plan.table.schema_name))
        table.create(connection)
        connection.execute(sa.insert(table), [{plan.table.content: text} for text in TEXTS])
    migration = Migration.open(plan, engine)
    expand(migration)
    list(run_backfill(migration, new_embedder))
    assert index.build(migration).valid
    with engine.connect() as connection:
        assert count_rows(connection, migration).filled == len(TEXTS)
    service = SearchService(engine, new_embedder, plan.table.qualified_name, [plan.table.content])
    assert service.search(TEXTS[2], 1).rows[0][plan.table.content] == TEXTS[2]


def test_no_transaction_is_open_while_the_model_runs(migration, server, new_embedder):
    open_transactions = []
    query = sa.text(
        "select count(*) from pg_stat_activity where datname = :name and xact_start is not null "
        "and pid <> pg_backend_pid()"
    )
    admin = server.engine(database=migration.engine.url.database)

    def count_transactions(texts):
        """Those that stay: others are read and written meanwhile, for a moment."""
        names, deadline = {"name": migration.engine.url.database}, time.monotonic() + 1
        while True:
            with admin.connect() as connection:
                found = connection.scalar(query, names)
            if not found or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        open_transactions.append(found)

    expand(migration)
    list(run_backfill(migration, RecordingEmbedder(new_embedder, count_transactions)))
    assert open_transactions
    assert set(open_transactions) == {0}
    admin.dispose()


def test_a_failing_model_stops_the_run_and_the_next_run_continues(migration, new_embedder):
    def fail(texts):
        if min(TEXTS, key=len) in texts:  # which is read last
            raise ModelUnavailable("quota")

    expand(migration)
    with pytest.raises(ModelUnavailable):
        list(run_backfill(migration, RecordingEmbedder(new_embedder, fail)))
    with migration.engine.connect() as connection:
        assert count_rows(connection, migration).pending > 0
        assert ledger.phase(connection, migration.id) == phases.EXPANDED
    steps = list(run_backfill(migration, new_embedder))
    assert steps[0].done == 4
    check_vectors(migration, new_embedder)


def test_a_run_continues_after_kill_9(engine, plan, new_embedder):
    """A real process, which is killed when it has written some rows."""
    make_table(engine, plan, [f"{text} Number {n}." for n in range(150) for text in TEXTS])
    migration = Migration.open(plan, engine)
    expand(migration)
    script = (
        "import sys, sqlalchemy as sa; "
        "from ragkit.migration.backfill.pipeline import run_backfill; "
        "from ragkit.migration.plan import Plan; from ragkit.migration.migration import Migration; "
        "from ragkit.embedding.load import load_embedder; "
        "plan = Plan.model_validate_json(sys.argv[1]); model = load_embedder(plan.new.model); "
        "m = Migration.open(plan, sa.create_engine(sys.argv[2])); "
        "[print(s.done, flush=True) for s in run_backfill(m, model)]"
    )
    process = subprocess.Popen(
        [PYTHON, "-c", script, plan.model_dump_json(), engine.url.render_as_string()],
        env=environment(), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    while int(process.stdout.readline() or 900) < 100:
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with engine.connect() as connection:
        counts = count_rows(connection, migration)
        assert ledger.phase(connection, migration.id) == phases.EXPANDED
    assert 0 < counts.filled < 900
    steps = list(run_backfill(migration, new_embedder))
    assert steps[0].done >= counts.filled
    assert steps[-1].done == 900
    check_vectors(migration, new_embedder)


def test_an_embedder_of_another_space_is_refused(migration):
    """The same dimension, another model: only the contract shows the difference."""
    expand(migration)
    other = load_embedder(NEW)
    other.model = replace(other.model, behind="impostor")
    with pytest.raises(SpaceMismatch, match="impostor"):
        list(run_backfill(migration, other))
    assert set(column_of(migration.engine, migration, "new vector").values()) == {None}


def test_a_backfill_before_expand_is_an_error(migration, new_embedder):
    with pytest.raises(PhaseError, match=r"backfill needs the phase 'expanded' or .* is 'planned'"):
        list(run_backfill(migration, new_embedder))


def test_a_trigger_that_undoes_the_writes_is_an_error(migration, new_embedder):
    expand(migration)
    with migration.engine.begin() as connection:
        connection.exec_driver_sql(
            "create function undo() returns trigger language plpgsql as "
            '$$ begin new."new vector" := null; return new; end $$'
        )
        connection.exec_driver_sql(
            'create trigger zzz before update on "Amenities" for each row execute function undo()'
        )
    with pytest.raises(DatabaseError, match="trigger"):
        list(run_backfill(migration, new_embedder))


@pytest.mark.parametrize(
    ("key_type", "keys"),
    [
        ("uuid", ["6a1f4c9e-0000-4000-8000-00000000000a", "6a1f4c9e-0000-4000-8000-00000000000b"]),
        ("text", ["ä key, with \t odd \\ characters", "z"]),
        ("bigint", ["-9223372036854775808", "9223372036854775807"]),
    ],
)
def test_keys_of_any_type_are_filled(engine, plan, new_embedder, key_type, keys):
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f'create table "Amenities" (id {key_type} primary key, name text, content text, '
            "embedding vector(256))"
        )
        for key in keys:
            connection.exec_driver_sql(
                'insert into "Amenities" (id, content) values (%s, %s)', (key, f"text of {key}")
            )
    migration = Migration.open(changed(plan, {"backfill.batch_size": 1}), engine)
    assert fill(migration, new_embedder)[-1].done == 2
    check_vectors(migration, new_embedder)

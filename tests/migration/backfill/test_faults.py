"""Faults of the model and the server during a backfill, and what the next run makes of them."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from ragkit import retry
from ragkit.errors import DatabaseError, ModelBusy, ModelUnavailable, PhaseError, WrongDimension
from ragkit.migration import ledger, phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import count_rows
from ragkit.migration.schema.expansion import expand
from ragkit.sandbox.folders import Folders
from ragkit.sandbox.postgres import Postgres
from tests.conftest import TEXTS, changed, make_table, with_plan
from tests.migration.backfill.vectors import check_vectors
from tests.stand_ins.faulty import faulty_embedder
from tests.stand_ins.recording import RecordingEmbedder

PLACES = [f"Place {n} is a shop. Wool." for n in range(40)]


def read_counts(migration):
    with migration.engine.connect() as connection:
        return count_rows(connection, migration)


@pytest.mark.parametrize("fault", [429, 500, "drop", "nan", "fewer", "ragged"])
def test_a_temporary_fault_of_the_model_is_retried(migration, new_embedder, fault):
    expand(migration)
    list(run_backfill(migration, faulty_embedder([None, fault])))
    check_vectors(migration, new_embedder)
    assert read_counts(migration).dead_letters == 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [(401, ModelUnavailable), (403, ModelUnavailable), (404, ModelUnavailable),
     ("dimension", WrongDimension), ("hang", ModelBusy)],
)  # fmt: skip
def test_a_fault_of_all_rows_stops_the_run_and_the_next_run_fills_the_rest(
    migration, new_embedder, fault, error
):
    expand(migration)
    impatient = with_plan(migration, {"backfill.model_seconds": 0.5})
    with pytest.raises(error):
        list(run_backfill(impatient, faulty_embedder([None, fault])))
    counts = read_counts(migration)
    assert counts.dead_letters == 0
    assert counts.pending > 0
    with migration.engine.connect() as connection:
        assert ledger.phase(connection, migration.id) == phases.EXPANDED
    recorder = RecordingEmbedder(new_embedder)
    list(run_backfill(migration, recorder))
    check_vectors(migration, new_embedder)
    assert len(recorder.texts) == counts.pending  # no row is paid for twice


def test_a_backfill_survives_dropped_connections_and_embeds_no_row_twice(
    engine, plan, server, new_embedder
):
    make_table(engine, plan, PLACES)
    migration = Migration.open(changed(plan, {"backfill.batch_size": 4}), engine)
    expand(migration)
    admin, dropped = server.engine(), []
    drop = sa.text(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = :name"
    ).bindparams(name=engine.url.database)

    def drop_connections(texts):
        if len(recorder.texts) - len(texts) in (8, 16, 28):
            with admin.connect() as connection:
                dropped.extend(connection.execute(drop).scalars())

    recorder = RecordingEmbedder(new_embedder, drop_connections)
    list(run_backfill(migration, recorder))
    admin.dispose()
    assert len(dropped) >= 3
    check_vectors(migration, new_embedder)
    assert max(Counter(recorder.texts).values()) == 1


@pytest.mark.parametrize("steps", range(1, 7))
def test_a_kill_repeats_at_most_what_was_in_flight(engine, plan, new_embedder, steps):
    make_table(engine, plan, PLACES)
    migration = Migration.open(changed(plan, {"backfill.batch_size": 10}), engine)
    expand(migration)
    first, second = RecordingEmbedder(new_embedder), RecordingEmbedder(new_embedder)
    run = run_backfill(migration, first)
    for _ in range(steps):
        next(run, None)
    time.sleep(0.1)  # the model answers what was sent
    run.close()  # a closed generator runs no further, as a killed process
    list(run_backfill(migration, second))
    check_vectors(migration, new_embedder)
    assert (
        len(first.texts) + len(second.texts) - len(PLACES) <= 20
    )  # one request with the model, one ahead


def test_a_server_that_stays_away_is_an_error_and_the_next_run_fills_the_rest(
    tmp_path, plan, new_embedder, monkeypatch
):
    monkeypatch.setattr(retry, "DATABASE_SECONDS", 1.0)
    server = Postgres(Folders.at(tmp_path / "killed"))
    try:
        server.start()
        server.create("killed", owner="retrieval-service")
        engine = sa.create_engine(server.url("retrieval-service", "killed"), pool_pre_ping=True)
        make_table(engine, plan, [f"{text} {n}." for n in range(50) for text in TEXTS])
        migration = Migration.open(plan, engine)
        expand(migration)
        killer = threading.Timer(0.3, server.kill)
        killer.start()
        with pytest.raises(DatabaseError, match=r"cannot be reached|terminat|shutting"):
            list(run_backfill(migration, new_embedder))
        killer.join()
        time.sleep(0.2)
        server.start()
        assert list(run_backfill(migration, new_embedder))[-1].done == 300
        check_vectors(migration, new_embedder)
        engine.dispose()
    finally:
        server.remove()


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_application_with_idle_row_locks_delays_only_its_own_rows(
    migration, engine, new_embedder
):
    """Two rows of a batch are locked for a while, then written in another order."""
    expand(migration)
    plan = with_plan(migration, {"backfill.batch_size": 64})
    with ThreadPoolExecutor(1) as executor, engine.connect() as app, engine.connect() as other:
        rows = sa.select(migration.key).where(migration.key.in_([5, 2]))
        app.execute(rows.with_for_update())
        backfill = executor.submit(lambda: list(run_backfill(plan, new_embedder)))
        wait_until(lambda: read_counts(migration).filled == 4)
        other.exec_driver_sql("set lock_timeout = 1000")
        for key in (1, 3, 4, 6):  # nobody else waits
            change = sa.update(migration.table).where(migration.key == key)
            other.execute(change.values(name="edited"))
            other.commit()
        app.execute(sa.update(migration.table).where(migration.key == 2).values(name="x"))
        app.execute(sa.update(migration.table).where(migration.key == 5).values(name="x"))
        app.commit()
        assert backfill.result(30)[-1].done == 6
    check_vectors(migration, new_embedder)


def test_a_row_that_stays_locked_is_told_and_not_waited_for_without_end(
    migration, engine, new_embedder
):
    expand(migration)
    impatient = with_plan(migration, {"backfill.model_seconds": 1.0})
    recorder = RecordingEmbedder(new_embedder)
    with engine.connect() as app:
        app.execute(sa.select(migration.key).where(migration.key == 2).with_for_update())
        said = "1 rows are left, held by transactions that have locked them"
        with pytest.raises(PhaseError, match=said):
            list(run_backfill(impatient, recorder))
        assert read_counts(migration).filled == 5
        assert migration.phase() == phases.EXPANDED
    assert Counter(recorder.texts)[TEXTS[1]] == 1  # its vector is kept meanwhile
    list(run_backfill(migration, new_embedder))
    check_vectors(migration, new_embedder)

import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.errors import PhaseError
from ragkit.migration import ledger
from ragkit.migration.schema import index, statements
from ragkit.migration.schema.expansion import expand
from ragkit.migration.schema.index import building, estimate
from ragkit.migration.schema.index.session import building_session
from ragkit.retrieval.search import DISTANCES, nearest, nearest_sql
from ragkit.sandbox.folders import Folders
from ragkit.sandbox.postgres import Postgres
from tests.conftest import ROLE, changed, random_vectors, with_plan
from tests.migration.schema.index.conftest import indexes, wait_for_builders, wait_until


def test_an_index_is_built_once_and_valid(filled):
    with filled.engine.connect() as connection:
        assert index.state(connection, filled).exists is False
    first = index.build(filled)
    assert (first.exists, first.valid) == (True, True)
    assert first.bytes > 0
    assert first.seconds > 0
    assert first.settings.startswith("maintenance_work_mem ")
    second = index.build(filled)
    assert (second.valid, second.bytes, second.seconds) == (True, first.bytes, 0.0)


def test_an_invalid_index_is_replaced(filled):
    built = index.build(filled)
    engine = filled.engine
    oid = sa.text("select indexrelid from pg_index where indexrelid = cast(:n as regclass)")
    with engine.connect() as connection:
        first_oid = connection.scalar(oid, {"n": f'"{built.name}"'})
    _invalidate(filled, built.name)
    with engine.connect() as connection:
        assert index.state(connection, filled).valid is False
    assert index.build(filled).valid is True
    with engine.connect() as connection:
        assert connection.scalar(oid, {"n": f'"{built.name}"'}) != first_oid


def _invalidate(migration, name):
    """Marks the index in the catalogue, as a killed CREATE INDEX CONCURRENTLY does."""
    url = migration.engine.url.set(username="postgres")
    admin = sa.create_engine(url)
    with admin.begin() as connection:
        connection.execute(
            sa.text(
                "update pg_index set indisvalid = false where indexrelid = cast(:n as regclass)"
            ),
            {"n": f'"{name}"'},
        )
    admin.dispose()


def test_a_plan_without_an_index_builds_none(migration):
    expand(migration)
    assert index.build(with_plan(migration, {"index.type": "none"})).exists is False


@pytest.mark.parametrize("index_type", ["hnsw", "ivfflat"])
@pytest.mark.parametrize("distance", list(DISTANCES))
def test_the_query_of_the_app_uses_the_index(filled, new_embedder, distance, index_type):
    """By EXPLAIN: the operator of the query is in the operator class of the index."""
    new = replace(filled.new, distance=distance)
    plan = changed(filled.plan, {"table.distance": distance, "index.type": index_type})
    built = index.build(replace(filled, plan=plan, known_new=new))
    sql = nearest_sql(new.table, new.column, distance, ("name",), None)
    vector = str(new_embedder.embed_query("coffee").tolist())
    with filled.engine.connect() as connection:
        connection.exec_driver_sql("set enable_seqscan = off")
        shown = sql.replace("$1", f"'{vector}'").replace("$2", "3")
        told = "\n".join(connection.exec_driver_sql(f"explain {shown}").scalars())
        assert len(nearest(connection, new, new_embedder.embed_query("coffee"), ["name"], 3)) == 3
    assert built.name in told


def test_timeouts_of_the_role_do_not_end_a_build(filled, server):
    """It waits for transactions that are older than it."""
    name, database = filled.engine.url.username, filled.engine.url.database
    role = f'alter role "{name}" in database "{database}"'
    with server.engine().begin() as admin:
        admin.exec_driver_sql(f"{role} set statement_timeout = '300ms'")
        admin.exec_driver_sql(f"{role} set lock_timeout = '200ms'")
    filled.engine.dispose()
    older = server.engine(database=database)
    with ThreadPoolExecutor(1) as executor, older.connect() as connection:
        connection.exec_driver_sql(f"update {filled.quoted_table} set name = name")
        built = executor.submit(index.build, filled)
        time.sleep(1)
        assert not built.done()
        connection.rollback()
        assert built.result(30).valid
    older.dispose()


def index_events(migration):
    with migration.engine.connect() as connection:
        return [e for e in ledger.events(connection, migration.id) if e.kind == "index"]


@pytest.mark.parametrize("count", [2, 4])
def test_processes_that_start_together_end_with_one_valid_index(vectors, builder, count):
    processes = [builder() for _ in range(count)]
    answers = [process.communicate(timeout=60) for process in processes]
    assert all(out.startswith("True ") for out, _ in answers), answers
    assert [valid for _, valid in indexes(vectors)] == [True]
    assert len(index_events(vectors)) == 1
    assert sum("somebody else's" not in out for out, _ in answers) == 1


def test_the_build_of_a_killed_client_is_waited_for_and_used(vectors, builder, write_in_progress):
    """Its server process goes on: the index is the one that it began."""
    with ThreadPoolExecutor(1) as executor, write_in_progress():
        first = builder()
        orphan = wait_for_builders(vectors)[0].pid
        wait_until(lambda: indexes(vectors))
        begun = indexes(vectors)
        first.kill()
        first.wait()
        second = executor.submit(index.build, vectors)
        time.sleep(2)
        assert not second.done()
        assert orphan in {b.pid for b in wait_for_builders(vectors)}
    assert second.result(30).valid
    assert indexes(vectors) == [(begun[0][0], True)]


def test_a_build_that_ended_without_an_index_is_taken_over(
    vectors, builder, write_in_progress, admin
):
    with ThreadPoolExecutor(1) as executor, write_in_progress():
        first = builder()
        orphan = wait_for_builders(vectors)[0].pid
        wait_until(lambda: indexes(vectors))
        begun = indexes(vectors)
        first.kill()
        first.wait()
        second = executor.submit(index.build, vectors)
        time.sleep(1)
        with admin.connect() as connection:
            connection.execute(sa.text("select pg_terminate_backend(:p)"), {"p": orphan})
        wait_until(lambda: orphan not in {b.pid for b in wait_for_builders(vectors)})
    assert second.result(30).valid
    [(oid, valid)] = indexes(vectors)
    assert (oid != begun[0][0], valid) == (True, True)


@pytest.mark.parametrize("role", ["postgres", None], ids=["hidden", "own role"])
def test_an_index_that_a_person_builds_is_not_dropped(vectors, server, write_in_progress, role):
    """Without ragkit's claim; of a superuser's session, this role sees little."""
    person = sa.create_engine(vectors.engine.url.set(username=role or vectors.engine.url.username))
    with vectors.engine.connect() as connection:  # closed: the build waits for its snapshot
        name = index.state(connection, vectors).name
    sql = (
        f'create index concurrently "{name}" on {vectors.quoted_table} '
        'using hnsw ("new vector" vector_cosine_ops)'
    )
    with ThreadPoolExecutor(2) as executor, person.connect() as connection:
        manual = connection.execution_options(isolation_level="AUTOCOMMIT")
        with write_in_progress():
            by_hand = executor.submit(manual.exec_driver_sql, sql)
            wait_until(lambda: indexes(vectors))
            begun, seen = indexes(vectors), []
            built = executor.submit(index.build, vectors, seen.append)
            time.sleep(1.5)
            assert not built.done()
            assert indexes(vectors) == begun
        by_hand.result(30)
        assert built.result(30).valid
    assert indexes(vectors) == [(begun[0][0], True)]
    assert seen
    person.dispose()


def test_an_interrupted_build_is_ended_at_the_server_and_may_begin_again(
    vectors, write_in_progress
):
    def interrupt(progress):
        if progress.total or "waiting" in progress.phase:
            raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as executor, write_in_progress():
        build = executor.submit(index.build, vectors, interrupt)
        with pytest.raises(KeyboardInterrupt):
            build.result(20)
        with autocommit(vectors.engine) as connection:  # a session ends a moment after its socket
            wait_until(lambda: building.read_builders(connection, vectors) == [], seconds=5)
    assert index.build(vectors).valid


def test_a_build_without_progress_is_named_and_left_alone(
    vectors, builder, write_in_progress, monkeypatch
):
    monkeypatch.setattr(building, "PATIENCE_SECONDS", 1.0)
    with write_in_progress():
        builder()
        pid = wait_for_builders(vectors)[0].pid
        wait_until(lambda: indexes(vectors))
        with pytest.raises(PhaseError, match=rf"built by pid {pid} .*without progress for 1 s"):
            index.build(vectors)
    wait_until(lambda: indexes(vectors)[0][1])


def test_what_it_will_take_is_told_before_and_kept_with_what_it_took(vectors, monkeypatch):
    monkeypatch.setattr(estimate, "WORTH_A_TRIAL", 1000)
    steps = []
    built = index.build(vectors, steps.append)
    assert re.match(r"an index of about \d,\d{3} rows: about .* second.*, \d", steps[0].phase)
    [event] = index_events(vectors)
    assert event.detail["settings"] == built.settings
    assert event.detail["estimate"]["bytes"] == pytest.approx(built.bytes, rel=0.2)
    assert statements.qualified_index(vectors).startswith("public.")


def test_who_is_waited_for_is_told(vectors):
    """A builder that has the claim and has not begun."""
    steps = []
    with ThreadPoolExecutor(1) as executor, building_session(vectors) as other:
        assert other.claim()
        pid = other.connection.scalar(sa.select(sa.func.pg_backend_pid()))
        built = executor.submit(index.build, vectors, steps.append)
        wait_until(lambda: steps)
        other.connection.exec_driver_sql("select pg_advisory_unlock_all()")
        assert built.result(30).valid
    assert steps[0].phase == f"waiting for pid {pid} of role {vectors.engine.url.username}"


@pytest.fixture
def cramped(tmp_path, plan):
    """A table on a server whose shared memory is a few MB, as a container's; it builds in
    parallel."""
    server = Postgres(Folders.at(tmp_path / "cramped"))
    server.start()
    server.create("cramped", owner=ROLE)
    server.stop()
    data = server._folders.server / "data"
    with (data / "postgresql.conf").open("a") as conf:
        conf.write("dynamic_shared_memory_type = mmap\nmin_parallel_table_scan_size = 0\n")
    shared = data / "pg_dynshmem"
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m,mode=0777", "none", shared]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        server.remove()
        pytest.skip("no right to mount a tmpfs here")
    engine = sa.create_engine(server.url(ROLE, "cramped"))
    try:
        server.start()
        yield random_vectors(engine, plan, 3000)
    finally:
        engine.dispose()
        server.stop()
        subprocess.run(["umount", shared], check=True)
        server.remove()


def test_a_server_with_little_shared_memory_builds_without_workers(cramped):
    built = index.build(with_plan(cramped, {"index.memory_mb": 96, "index.workers": 2}))
    assert built.valid
    assert ", 0 parallel workers (" in built.settings
    assert "shared memory is too small" in built.settings
    assert [valid for _, valid in indexes(cramped)] == [True]

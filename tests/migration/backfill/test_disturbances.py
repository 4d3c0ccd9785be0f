"""What a DBA and a restart do to a backfill in its middle: nothing is left out, nothing stays
claimed."""

import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit, engine_from_env
from ragkit.errors import DatabaseError
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work import sweep, workers
from ragkit.migration.work.tables import CLAIM, QUEUE, SWEEP
from ragkit.migration.work.workers import working
from ragkit.sandbox.folders import Folders
from ragkit.sandbox.postgres import Postgres
from tests.conftest import ROLE, TEXTS, changed, make_table
from tests.migration.backfill.test_follower import following, insert, vector, wait_for
from tests.migration.backfill.vectors import check_vectors
from tests.stand_ins.recording import RecordingEmbedder

PLACES = [f"{text} {n}." for n in range(100) for text in TEXTS]


@pytest.fixture
def wide(engine, plan) -> Migration:
    """Of many pages: several ranges to claim."""
    plan = changed(plan, {"backfill.batch_size": 16})
    make_table(engine, plan, PLACES)
    migration = Migration.open(plan, engine)
    expand(migration)
    return migration


def left(migration: Migration) -> list[int]:
    with migration.engine.connect() as connection:
        count = sa.select(sa.func.count())
        return [connection.scalar(count.select_from(table)) for table in (CLAIM, QUEUE)]


@pytest.mark.parametrize("call", [1, 8, 20])
def test_a_table_that_is_rewritten_in_the_middle_is_walked_again(wide, new_embedder, call):
    calls, files = [], set()

    def rewrite(texts):
        calls.append(texts)
        with wide.engine.connect() as connection:
            files.add(connection.scalar(sa.select(SWEEP.c.filenode)))
        if len(calls) == call:
            with autocommit(wide.engine) as dba:
                dba.exec_driver_sql('delete from "Amenities" where id % 3 = 0')
                dba.exec_driver_sql('vacuum full "Amenities"')

    steps = list(run_backfill(wide, RecordingEmbedder(new_embedder, rewrite)))
    assert len(files) == 2
    assert steps[-1].done == len(PLACES) * 2 // 3
    check_vectors(wide, new_embedder)
    assert left(wide) == [0, 0]


def test_the_range_of_a_file_that_is_gone_ends_no_range_of_the_new_one(wide, engine):
    sweep.begin(wide)
    before = sweep.claim(wide, "me")
    with autocommit(engine) as dba:
        dba.exec_driver_sql('vacuum full "Amenities"')
    sweep.begin(wide)
    after = sweep.claim(wide, "me")
    assert (after.first, after.leaf.filenode) != (before.first, before.leaf.filenode)
    sweep.finish(wide, "me", before)
    assert left(wide) == [1, 0]
    sweep.finish(wide, "me", after)
    assert left(wide) == [0, 0]


@pytest.mark.timeout(120)
def test_a_server_that_restarts_while_the_queue_is_emptied_loses_no_key(
    tmp_path, plan, new_embedder
):
    server = Postgres(Folders.at(tmp_path / "restarted"))
    try:
        server.start()
        server.create("shop", owner=ROLE)
        engine = sa.create_engine(server.url(ROLE, "shop"), pool_pre_ping=True)
        plan = changed(plan, {"backfill.batch_size": 16})
        make_table(engine, plan, TEXTS)
        migration = Migration.open(plan, engine)
        expand(migration)
        list(run_backfill(migration, new_embedder))
        rows = [{"id": n, "name": "n", "content": text} for n, text in enumerate(PLACES, 100)]
        with engine.begin() as connection:
            connection.execute(sa.insert(migration.table).values(rows))
        assert left(migration)[1] == len(PLACES)
        calls = []

        def restart(texts):
            calls.append(texts)
            if len(calls) in (5, 15):
                server.kill()
                time.sleep(0.3)
                server.start()

        list(run_backfill(migration, RecordingEmbedder(new_embedder, restart)))
        assert len(calls) > 15
        check_vectors(migration, new_embedder)
        assert left(migration) == [0, 0]
        engine.dispose()
    finally:
        server.remove()


@pytest.mark.timeout(60)
def test_a_follower_outlives_a_lock_that_its_role_does_not_wait_for(filled, server, new_embedder):
    """As of a DBA, while the role has a lock_timeout."""
    name = filled.engine.url.database
    role = f'alter role "{ROLE}" in database "{name}"'
    admin = server.engine(database=name)
    with autocommit(admin) as connection:
        connection.exec_driver_sql(f"{role} set lock_timeout = '100ms'")
    filled.engine.dispose()
    with following(filled, new_embedder) as errors:
        time.sleep(0.5)
        insert(filled, 100, "A new shop.")
        with admin.begin() as dba:
            dba.exec_driver_sql('lock table "Amenities" in access exclusive mode')
            time.sleep(3)
        wait_for(lambda: errors or vector(filled, 100) is not None)
        assert errors == []
    admin.dispose()


def test_a_lease_goes_on_when_its_role_may_log_in_again(migration, server, monkeypatch):
    """Who rotates a password may be a moment late."""
    monkeypatch.setattr(workers, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(workers, "RENEW_SECONDS", 0.1)
    expand(migration)
    engine = engine_from_env({"DATABASE_URL": migration.engine.url.render_as_string()})
    with server.engine().connect() as admin, working(engine, "a step") as worker:
        admin.exec_driver_sql(f'alter role "{ROLE}" nologin')
        admin.commit()
        engine.dispose()
        time.sleep(0.5)
        admin.exec_driver_sql(f'alter role "{ROLE}" login')
        admin.commit()
        time.sleep(1.5)
        with engine.connect() as connection:
            assert connection.scalar(sa.select(workers.is_alive(sa.literal(worker))))
    engine.dispose()


@pytest.fixture
def small_disk(server, admin, engine):
    """A tablespace of 4 MB, in a folder that the server's account can reach."""
    folder = Path(tempfile.mkdtemp(prefix="small-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0777", "none", folder]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a tmpfs here")
    place = folder / "tablespace"
    try:
        place.mkdir(mode=0o700)
        if account := server._folders.account:
            shutil.chown(place, account)
        with autocommit(admin) as connection:
            connection.exec_driver_sql(f"create tablespace small location '{place}'")
            connection.exec_driver_sql(f'grant create on tablespace small to "{ROLE}"')
        yield folder
        with autocommit(engine) as connection:
            connection.exec_driver_sql('drop table "Amenities"')
        with autocommit(admin) as connection:
            connection.exec_driver_sql("drop tablespace small")
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


def test_a_full_disk_ends_a_run_with_one_line_and_the_next_one_fills_the_rest(
    engine, plan, new_embedder, small_disk
):
    make_table(engine, plan, TEXTS[:1])
    migration = Migration.open(plan, engine)
    with autocommit(engine) as connection:
        connection.exec_driver_sql('alter table "Amenities" set tablespace small')
        connection.exec_driver_sql(
            'insert into "Amenities" (id, name, content) '
            "select n, 'n', 'Place ' || n || ' is a shop.' from generate_series(2, 3000) n"
        )
    expand(migration)
    ballast = small_disk / "ballast"
    with suppress(OSError), ballast.open("wb") as file:
        while True:
            file.write(bytes(2**14))
            file.flush()
    with pytest.raises(DatabaseError, match="No space left on device"):
        list(run_backfill(migration, new_embedder))
    ballast.unlink()
    assert list(run_backfill(migration, new_embedder))[-1].done == 3000
    assert left(migration) == [0, 0]

"""What a database, its network and its other users do to a backfill. Each fault begins with rows
that are pending again, and ends when another run has filled them."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.database.identifiers import quote_identifier
from ragkit.sandbox.sandbox import DATABASE, ROLE
from tests.chaos.proof import Proof
from tests.stand_ins import silent

ROLE_SQL = quote_identifier(ROLE)
TMPFS_MB = 64
OWN_KEYS = 90_000_000
INDEX = "amenities_embedding_256_hnsw"


def connection_limit(proof: Proof, seconds: float) -> None:
    """The server takes no further connection of the role; the backfill has just lost its own."""
    process = _started(proof)
    with _outage(proof), _admin(proof) as admin:
        admin.exec_driver_sql(f"alter role {ROLE_SQL} connection limit 1")
        proof.environment.drop_connections()
        time.sleep(seconds)
        admin.exec_driver_sql(f"alter role {ROLE_SQL} connection limit -1")
    _finish(proof, process, "connection limit reached")


def exclusive_lock(proof: Proof, seconds: float) -> None:
    """A DBA's, as of an ALTER TABLE by hand: the app waits too."""
    process = _started(proof)
    with (
        _outage(proof),
        proof.environment.sandbox.postgres.engine(database=DATABASE).begin() as dba,
    ):
        dba.exec_driver_sql("lock table amenities in access exclusive mode")
        time.sleep(seconds)
    _finish(proof, process, f"ACCESS EXCLUSIVE of {seconds:g} s")


def statement_timeout(proof: Proof, seconds: float) -> None:
    """Of the role, as some hosts set it."""
    with _admin(proof) as admin:
        setting = f"alter role {ROLE_SQL} in database {DATABASE}"
        admin.exec_driver_sql(f"{setting} set statement_timeout = '{seconds:g}s'")
        _finish(proof, _started(proof), f"statement_timeout of {seconds:g} s")
        admin.exec_driver_sql(f"{setting} reset statement_timeout")


def idle_row_locks(proof: Proof, seconds: float) -> None:
    """An application that locks rows, thinks, and writes several of them in one transaction."""
    with proof.environment.engine.begin() as app:  # rows that no other writer touches
        app.exec_driver_sql(
            "insert into amenities (id, name, content, embedding) "
            f"select id + {OWN_KEYS}, name, content, embedding from amenities where id < 50"
        )
    process = _started(proof)
    with proof.environment.engine.begin() as app:
        own = f"where id > {OWN_KEYS}"
        app.exec_driver_sql(f"select 1 from amenities {own} order by id desc for update")
        time.sleep(seconds)
        app.exec_driver_sql(f"update amenities set name = name {own}")
    _finish(proof, process, f"row locks, idle for {seconds:g} s, then several rows written")


def half_open(proof: Proof, seconds: float) -> None:
    """The backfill's connections fall silent; then they are gone, and the address answers again."""
    environment = proof.environment
    with silent.serving(environment.sandbox.url.query["unix_sock"]) as proxy:
        host, port = proxy.address
        url = f"postgresql+pg8000://{ROLE}@{host}:{port}/{DATABASE}"
        process = _started(proof, {"database.url": url, "app.target": "manual"})
        proxy.talking.clear()
        time.sleep(seconds)
        proxy.drop()
        proxy.talking.set()
        _finish(proof, process, f"half-open connections for {seconds:g} s")


def disk_full(proof: Proof) -> None:
    """A small tablespace takes the index, and is full."""
    with tempfile.TemporaryDirectory(prefix="small-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_MB}m,mode=0777", "none", folder]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            proof.fault("disk full", "index", "not run: no right to mount a tmpfs here")
            return
        try:
            _run_out_of_disk(proof, Path(folder))
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def _run_out_of_disk(proof: Proof, folder: Path) -> None:
    environment, role = proof.environment, f"alter role {ROLE_SQL}"
    place, ballast = folder / "tablespace", folder / "ballast"
    place.mkdir(mode=0o700)
    if account := environment.sandbox.folders.account:
        shutil.chown(place, account)
    with _admin(proof) as admin:
        admin.exec_driver_sql(f"create tablespace small location '{place}'")
        admin.exec_driver_sql(f"grant create on tablespace small to {ROLE_SQL}")
        with suppress(OSError), ballast.open("wb") as file:
            while True:
                file.write(bytes(2**16))
                file.flush()
        drop_index = f"drop index concurrently if exists {INDEX}"
        admin.exec_driver_sql(drop_index)
        admin.exec_driver_sql(f"{role} set default_tablespace = small")
        code = environment.ragkit("backfill").wait(120)
        ballast.unlink()
        runs = environment.run_until_done("backfill")
        proof.fault("disk full", "index", f"exit {code}; valid after {runs} more run(s)")
        admin.exec_driver_sql(f"{role} reset default_tablespace")
        admin.exec_driver_sql(drop_index)
        environment.run_until_done("backfill")
        admin.exec_driver_sql("drop tablespace small")


def _started(proof: Proof, changes: dict[str, object] | None = None) -> subprocess.Popen:
    """A backfill that has claimed rows, and whose model takes some seconds."""
    proof.make_pending()
    process = proof.environment.backfill("hang,slow", changes)
    proof.environment.wait_for_claim()
    return process


def _finish(proof: Proof, process: subprocess.Popen, kind: str) -> None:
    code = process.wait(120)
    runs = proof.environment.run_until_done("backfill")
    proof.fault(kind, "backfill", f"exit {code}; complete after {runs} more run(s)")


@contextmanager
def _outage(proof: Proof) -> Iterator[None]:
    """What the app cannot answer meanwhile is not ragkit's fault."""
    start = time.time()
    try:
        yield
    finally:
        proof.outages.append((start, time.time()))


@contextmanager
def _admin(proof: Proof) -> Iterator[sa.Connection]:
    engine = proof.environment.sandbox.postgres.engine(database=DATABASE)
    try:
        with autocommit(engine) as connection:
            yield connection
    finally:
        engine.dispose()

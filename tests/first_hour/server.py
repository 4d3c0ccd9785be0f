"""A server of somebody else: an older PostgreSQL with an older pgvector, TCP, passwords."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import sqlalchemy as sa

from tests.conftest import free_port

PASSWORD = "a p@ss:word/of the superuser"


@contextmanager
def older_server() -> Iterator[sa.URL]:
    """The superuser's URL. Everybody needs a password; nothing is trusted."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="older-") as name:
        home, port = Path(name), free_port()
        programs = _copy_programs(home)
        (home / "password").write_text(PASSWORD)
        as_account = _account(home)

        def run(program: str, *arguments: object) -> None:
            done = subprocess.run(
                [str(programs / program), *map(str, arguments)], cwd=home, check=False,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                text=True, **as_account,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr

        data = home / "data"
        run("initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256", "--locale=C.UTF-8",
            "-E", "UTF8", "--pwfile", home / "password", "--no-sync")  # fmt: skip
        options = f"-p {port} -h 127.0.0.1 -k '' -c fsync=off"
        log = home / "log"
        run("pg_ctl", "start", "-w", "-s", "-D", data, "-l", log, "-o", options)
        try:
            yield sa.URL.create(
                "postgresql+pg8000", "postgres", PASSWORD, "127.0.0.1", port, "postgres"
            )
        finally:
            run("pg_ctl", "stop", "-w", "-s", "-m", "immediate", "-D", data)


def _copy_programs(home: Path) -> Path:
    """Where another account may read them; the libraries lie beside the package."""
    (folder,) = find_spec("pgserver").submodule_search_locations
    package = Path(folder)
    shutil.copytree(package / "pginstall", home / package.name / "pginstall", symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, home / libraries.name, symlinks=True)
    return home / package.name / "pginstall" / "bin"


def _account(home: Path) -> dict[str, object]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    account = pwd.getpwnam("nobody")
    for path in (home, *home.rglob("*")):
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

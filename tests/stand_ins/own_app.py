"""Starts, stops and restarts the Flask app, as an operator or a script of a user's does."""

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import sqlalchemy as sa

from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.schema.expansion import expand
from tests.conftest import PYTHON, embedder_of, environment, free_port, make_table

PROGRAM = Path(__file__).parent / "flask_app.py"
WARES = """fish chips wool scarves silence champagne train remedies coffee books toys perfume
sushi noodles watches luggage prayer massage newspapers chocolate denim ramen"""
KINDS = ("restaurant", "shop", "facility", "bar")
CHECK = {
    "check.method": "GET", "check.path": "/search", "check.body": '{"q": "{question}", "n": 3}',
    "check.rows": "data.hits", "check.field": "doc.id", "index.type": "none",
}  # fmt: skip


SCRIPT = """#!/bin/sh
# What a user's script does: stops the app, starts it again with another model and column.
set -e
if [ -f "{pid}" ]; then kill "$(cat "{pid}")"; rm "{pid}"; fi
echo "$RAGKIT_DIRECTION $EMBEDDING_MODEL $RAGKIT_TABLE.$RAGKIT_COLUMN $RAGKIT_DIMENSION" >> "{log}"
MODEL="$EMBEDDING_MODEL" VECTOR_COLUMN="$RAGKIT_COLUMN" {settings} \\
    "{python}" "{program}" {port} > "{log}.app" 2>&1 &
echo $! > "{pid}"
"""


def places(count: int = 30) -> list[str]:
    """The same ones each time; in pairs of two models they are told apart."""
    chosen, words = random.Random(5), WARES.split()
    return [
        f"{chosen.choice(words).title()} {chosen.choice(words)} {n} is a {chosen.choice(KINDS)}. "
        f"{' and '.join(chosen.sample(words, 3)).capitalize()}."
        for n in range(count)
    ]


def places_migration(engine: sa.Engine, plan: Plan) -> Migration:
    """Filled, in the phase `backfilled`."""
    make_table(engine, plan, places())
    migration = Migration.open(plan, engine)
    expand(migration)
    list(run_backfill(migration, embedder_of(plan.new.model)))
    return migration


@dataclass
class OwnApp:
    """`log` has a line for each run of the script."""

    folder: Path
    database: sa.URL
    port: int

    @classmethod
    def at(cls, folder: Path, database: sa.URL) -> "OwnApp":
        app = cls(folder, database, free_port())
        settings = " ".join(f'{name}="{value}"' for name, value in app._settings.items())
        names = {"pid": app._pid, "log": app.log, "port": app.port, "settings": settings}
        app.script.write_text(SCRIPT.format(python=PYTHON, program=PROGRAM, **names))
        app.script.chmod(0o700)
        return app

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def script(self) -> Path:
        return self.folder / "deploy app.sh"

    @property
    def log(self) -> Path:
        return self.folder / "script.log"

    @property
    def _pid(self) -> Path:
        return self.folder / "app.pid"

    @property
    def _settings(self) -> dict[str, str]:
        return {
            "PGUSER": str(self.database.username), "PGDATABASE": str(self.database.database),
            "PG_SOCKET": str(self.database.query["unix_sock"]), "SEARCH_KEY": "Bearer canary-key",
        }  # fmt: skip

    def switch(self, model: str, column: str) -> None:
        """By hand: returns when it answers."""
        env = environment(
            EMBEDDING_MODEL=model, RAGKIT_COLUMN=column, RAGKIT_TABLE="by hand",
            RAGKIT_DIMENSION="", RAGKIT_DIRECTION="",
        )  # fmt: skip
        subprocess.run([self.script], env=env, check=True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                httpx.get(f"{self.url}/login")
                return
            time.sleep(0.1)
        raise TimeoutError((self.folder / "script.log.app").read_text())

    def stop(self) -> None:
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int(self._pid.read_text()), signal.SIGTERM)
            self._pid.unlink()

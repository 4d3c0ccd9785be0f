"""The sandbox as a whole: server, database `assistantdemo`, table `amenities`, the app."""

import os
import shutil
from pathlib import Path

import sqlalchemy as sa

from ragkit.checkout import ROOT
from ragkit.embedding.load import load_embedder
from ragkit.sandbox.folders import Folders
from ragkit.sandbox.local_app import LocalApp
from ragkit.sandbox.postgres import Postgres
from ragkit.sandbox.sample import OLD_COLUMN, OLD_MODEL, TABLE, amenities, sample_rows

DATABASE, ROLE = "assistantdemo", "retrieval-service"


class Sandbox:
    """Every method may be called twice. `home`: RAGKIT_SANDBOX, else .sandbox/ in the checkout."""

    def __init__(self, port: int, home: Path | None = None):
        chosen = home or Path(os.environ.get("RAGKIT_SANDBOX") or ROOT / ".sandbox")
        self.folders = Folders.at(chosen)
        self.postgres = Postgres(self.folders)
        self.url = self.postgres.url(ROLE, DATABASE)
        settings = {
            "DATABASE_URL": self.url.render_as_string(),
            "STOCK_COLUMNS": f"{OLD_MODEL}={OLD_COLUMN}",
            "HF_HUB_OFFLINE": "1",
        }
        self.app = LocalApp(self.folders, port, settings)

    def engine(self) -> sa.Engine:
        return self.postgres.engine(ROLE, DATABASE)

    def up(self) -> None:
        """Starts supervisor, server and database. Raises SandboxError; a taken port comes first."""
        self.app.up()
        self.postgres.start()
        self.postgres.create(DATABASE, owner=ROLE)

    def down(self) -> None:
        self.app.down()
        self.postgres.stop()

    def remove(self) -> None:
        """Stops everything and deletes its folders."""
        self.app.down()
        self.postgres.remove()
        for folder in (self.folders.home, self.folders.app_sockets):
            shutil.rmtree(folder, ignore_errors=True)

    def has_table(self) -> bool:
        with self.engine().connect() as connection:
            return sa.inspect(connection).has_table(TABLE)

    def restore(self) -> int:
        """Makes the table as a stock installation has it: no trace of a migration, every vector by
        the legacy model. Returns the number of rows."""
        embedder = load_embedder(OLD_MODEL)
        table = amenities(embedder.model.dimension)
        rows = sample_rows()
        vectors = embedder.embed_documents([row["content"] or "" for row in rows])
        filled = [row | {OLD_COLUMN: vector} for row, vector in zip(rows, vectors, strict=True)]
        with self.engine().begin() as connection:
            connection.execute(sa.text("drop schema if exists ragkit cascade"))
            table.drop(connection, checkfirst=True)
            table.create(connection)
            connection.execute(sa.insert(table), filled)
        return len(rows)

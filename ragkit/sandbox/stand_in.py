"""The sandbox as a whole: server, database `assistantdemo`, table `amenities`, the app."""

import csv
import os
import shutil
from pathlib import Path

import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.embedders import load
from ragkit.sandbox.app import LocalApp
from ragkit.sandbox.folders import REPOSITORY, Folders
from ragkit.sandbox.postgres import Postgres

DATABASE, ROLE, TABLE = "assistantdemo", "retrieval-service", "amenities"
OLD_MODEL, OLD_COLUMN = "wordllama-256", "embedding"
DATA = Path(__file__).with_name("data")
DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


class Sandbox:
    """Every verb may be called twice. `home` is RAGKIT_SANDBOX, else .sandbox in the checkout."""

    def __init__(self, port: int, home: Path | None = None):
        chosen = home or Path(os.environ.get("RAGKIT_SANDBOX") or REPOSITORY / ".sandbox")
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
        """The app's front, server and database. Raises SandboxError, first of all for the port."""
        self.app.up()
        self.postgres.start()
        self.postgres.create(DATABASE, owner=ROLE)

    def down(self) -> None:
        self.app.down()
        self.postgres.stop()

    def remove(self) -> None:
        """Down, and everything it ever wrote deleted."""
        self.app.down()
        self.postgres.remove()
        shutil.rmtree(self.folders.home, ignore_errors=True)

    def has_table(self) -> bool:
        with self.engine().connect() as connection:
            return sa.inspect(connection).has_table(TABLE)

    def restore(self) -> int:
        """The table as a stock installation has it: no trace of a migration, every vector made
        by the legacy model. Returns the number of rows."""
        embedder = load(OLD_MODEL)
        table = amenities(embedder.model.dimension)
        rows = sample_rows()
        vectors = embedder.embed_documents([row["content"] for row in rows])
        filled = [row | {OLD_COLUMN: vector} for row, vector in zip(rows, vectors, strict=True)]
        with self.engine().begin() as connection:
            connection.execute(sa.text("drop schema if exists ragkit cascade"))
            table.drop(connection, checkfirst=True)
            table.create(connection)
            connection.execute(sa.insert(table), filled)
        return len(rows)


def amenities(dimension: int) -> sa.Table:
    """The table with exactly the columns of the Jump Start Solution, in its order."""
    texts = ("name", "description", "location", "terminal", "category", "hour")
    hours = [f"{day}_{edge}_hour" for day in DAYS for edge in ("start", "end")]
    return sa.Table(
        TABLE,
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Text) for name in texts),
        *(sa.Column(name, sa.Time) for name in hours),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column(OLD_COLUMN, VECTOR(dimension), nullable=False),
    )


def sample_rows() -> list[dict[str, str | None]]:
    """The shipped amenities; an empty cell is NULL."""
    with (DATA / "amenities.csv").open(newline="", encoding="utf-8") as file:
        return [{k: v or None for k, v in row.items()} for row in csv.DictReader(file)]

"""A real PostgreSQL with pgvector for the session, a fresh database for each test."""

import itertools
import os
import socket
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.embedders import load
from ragkit.migration import schema
from ragkit.migration.plan import Plan
from ragkit.migration.subject import Migration
from ragkit.sandbox.folders import Folders
from ragkit.sandbox.postgres import Postgres
from tests.stand_ins import vertex as stand_in

ROOT = Path(__file__).resolve().parents[1]
ROLE = "retrieval-service"
OLD, NEW = "wordllama-256", "tests.stand_ins.letters:Letters"
TEXTS = [
    "Harbour Grill is a restaurant. Fish and chips.",
    "Northlight is a shop. Wool jumpers and scarves.",
    "Quiet Room is a facility. A silent space.",
    "Bubbles is a bar. Champagne by the glass.",
    "Skytrack is a transport. Driverless train between terminals.",
    "Corbett Chemist is a medical. Over-the-counter remedies.",
]
_numbers = itertools.count()


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Postgres:
    """In a path with a space, on purpose."""
    postgres = Postgres(Folders.at(tmp_path_factory.mktemp("a server") / "home"))
    postgres.start()
    yield postgres
    postgres.remove()


@pytest.fixture
def database(server) -> sa.URL:
    name = f"test {next(_numbers)}"
    server.create(name, owner=ROLE)
    return server.url(ROLE, name)


@pytest.fixture
def engine(database) -> sa.Engine:
    engine = sa.create_engine(database, pool_pre_ping=True)
    yield engine
    engine.dispose()


@pytest.fixture
def plan() -> Plan:
    return Plan(
        database="env", app="manual", table="Amenities", old_model=OLD, new_model=NEW,
        new_column="new vector", batch_size=4, k=3,
    )  # fmt: skip


@pytest.fixture
def amenities(engine, plan) -> sa.Table:
    """Six rows with old vectors; a mixed-case table, so that a missing quote shows."""
    return make_table(engine, plan, TEXTS)


@pytest.fixture
def migration(engine, plan, amenities) -> Migration:
    return Migration.open(plan, engine)


@pytest.fixture
def vertex():
    with stand_in.serving() as server:
        yield server


@pytest.fixture(scope="session")
def old_embedder():
    return load(OLD)


@pytest.fixture(scope="session")
def new_embedder():
    return load(NEW)


def make_table(engine: sa.Engine, plan: Plan, texts: list[str | None]) -> sa.Table:
    embedder = load(plan.old_model)
    table = sa.Table(
        plan.table,
        sa.MetaData(),
        sa.Column(plan.key, sa.Integer, primary_key=True),
        sa.Column("name", sa.Text),
        sa.Column("description", sa.Text),
        sa.Column(plan.content, sa.Text),
        sa.Column(plan.old_column, VECTOR(embedder.model.dimension)),
    )
    rows = [
        {
            plan.key: number,
            "name": (text or "").partition(" is a ")[0],
            "description": (text or "").partition(". ")[2],
            plan.content: text,
            plan.old_column: embedder.embed_query(text or "nothing"),
        }
        for number, text in enumerate(texts, 1)
    ]
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(sa.insert(table), rows)
    return table


def random_vectors(engine: sa.Engine, plan: Plan, rows: int) -> Migration:
    """A table whose new vectors are random, of 64 dimensions: nothing is near to anything."""
    make_table(engine, plan, [f"Place {n} is a shop number {n * 7919 % 97}." for n in range(rows)])
    migration = Migration.open(plan, engine)
    schema.expand(migration)
    set_new(migration, np.random.default_rng(1).normal(size=(rows, 64)))
    return migration


def set_new(migration: Migration, vectors: Iterable) -> None:
    """The new vectors of rows 1, 2, …"""
    row = sa.update(migration.table).where(migration.key == sa.bindparam("row"))
    change = row.values({migration.plan.new_column: sa.bindparam("vector")})
    with migration.engine.begin() as connection:
        for key, vector in enumerate(vectors, 1):
            connection.execute(change, {"row": key, "vector": vector})


def with_plan(migration: Migration, **changes: object) -> Migration:
    return replace(migration, plan=migration.plan.model_copy(update=changes))


def column_of(engine: sa.Engine, migration: Migration, name: str) -> dict[int, object]:
    """The values of a column by key."""
    with engine.connect() as connection:
        query = sa.select(migration.key, migration.table.c[name]).select_from(migration.table)
        return {row[0]: row[1] for row in connection.execute(query)}


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


def environment(**more: str) -> dict[str, str]:
    """For a process that runs ragkit from this checkout."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("RAGKIT_", "DB_"))}
    return {**clean, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", **more}


PYTHON = sys.executable

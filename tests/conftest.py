"""A real PostgreSQL with pgvector for the session, and a fresh database for each test."""

import itertools
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.database.engine import autocommit
from ragkit.embedding.embedder import Embedder
from ragkit.embedding.load import load_embedder
from ragkit.evaluation.metrics.significance import MIN_QUESTIONS
from ragkit.evaluation.questions import read_questions
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.progress.audit import audit
from ragkit.migration.schema import expansion
from ragkit.migration.verdict import Gate, database_gates
from ragkit.sandbox.folders import Folders
from ragkit.sandbox.postgres import Postgres
from ragkit.sandbox.sample import DATA, QUESTIONS
from tests.plans import NEW, OLD, changed, make_plan

ROOT = Path(__file__).resolve().parents[1]
PYTHON = sys.executable
ROLE = "retrieval-service"
hypothesis.settings.register_profile("ragkit", deadline=None)  # the machine is busy
hypothesis.settings.load_profile("ragkit")
TEMPLATE = "with pgvector"
MEMORY_BYTES = 2 * 2**30
"""More than the databases of all workers take at once."""
TEXTS = [
    "Harbour Grill is a restaurant. Fish and chips.",
    "Northlight is a shop. Wool jumpers and scarves.",
    "Quiet Room is a facility. A silent space.",
    "Bubbles is a bar. Champagne by the glass.",
    "Skytrack is a transport. Driverless train between terminals.",
    "Corbett Chemist is a medical. Over-the-counter remedies.",
]
REPEATED = 97
"""Old vectors in a table of `random_vectors`."""
_numbers = itertools.count()
SLOWEST = ("notebooks/test_run", "notebooks/test_jss", "end_to_end/", "migration/rescue/",
           "migration/schema/index/", "migration/test_", "function/", "runbook/test_", "sandbox/",
           "runbook/", "test_packaging", "migration/", "retrieval/")  # fmt: skip
"""They start first, so that no worker is left with a long file at the end."""


@sa.event.listens_for(sa.Engine, "do_connect")
def _load_no_certificates(_dialect, _record, _arguments, options) -> None:
    """As ragkit.database.engine: pg8000 would load them for each session, 28 ms on a socket."""
    if "unix_sock" in options:
        options.setdefault("ssl_context", False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(ROOT / "tests").as_posix()
        return next((n for n, start in enumerate(SLOWEST) if path.startswith(start)), len(SLOWEST))

    if all(item.path.is_relative_to(ROOT / "tests") for item in items):
        items.sort(key=place)


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Postgres:
    """In a path with a space, on purpose. It need not survive a crash of the machine: without
    fsync a database costs a third."""
    folders = Folders.at(tmp_path_factory.mktemp("a server") / "home")
    postgres = Postgres(folders)
    postgres.start()
    engine = postgres.engine()
    with autocommit(engine) as admin:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            admin.exec_driver_sql(f"alter system set {setting} = off")
        admin.exec_driver_sql("select pg_reload_conf()")
    engine.dispose()
    postgres.create(TEMPLATE, owner=ROLE)
    with in_memory(postgres, folders.account) as tablespace:
        if tablespace:
            engine = postgres.engine()
            with autocommit(engine) as admin:
                admin.exec_driver_sql(f'alter database "{TEMPLATE}" set tablespace {tablespace}')
            engine.dispose()
        yield postgres
        postgres.remove()


@contextmanager
def in_memory(postgres: Postgres, account: str | None) -> Iterator[str | None]:
    """A tablespace for the thousands of databases, in memory where there is enough: making and
    removing their files costs ext4 as much as the rest of the tests takes. Clones are where their
    template is."""
    memory = Path("/dev/shm")
    if not memory.is_mount() or shutil.disk_usage(memory).free < MEMORY_BYTES:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="ragkit-tests-", dir=memory) as folder:
        if account:
            shutil.chown(folder, account)
        engine = postgres.engine()
        with autocommit(engine) as admin:
            admin.exec_driver_sql(f"create tablespace memory location '{folder}'")
        engine.dispose()
        yield "memory"


@pytest.fixture(scope="session")
def admin(server) -> sa.Engine:
    engine = server.engine()
    yield engine
    engine.dispose()


@pytest.fixture
def database(server, admin) -> Iterator[sa.URL]:
    """A clone of a database that has pgvector. It is dropped: its pages would be written, and
    thousands of folders be removed at the end."""
    name = f"test {next(_numbers)}"
    clone(admin, name, TEMPLATE)
    yield server.url(ROLE, name)
    drop(admin, name)


def clone(admin: sa.Engine, name: str, template: str) -> None:
    with autocommit(admin) as connection:
        connection.exec_driver_sql(
            f'create database "{name}" template "{template}" owner "{ROLE}" strategy file_copy'
        )


def drop(admin: sa.Engine, name: str) -> None:
    with autocommit(admin) as connection:
        connection.exec_driver_sql(f'drop database if exists "{name}" with (force)')


@pytest.fixture
def engine(database) -> sa.Engine:
    engine = sa.create_engine(database, pool_pre_ping=True)
    yield engine
    engine.dispose()


@pytest.fixture
def restored(admin, engine) -> Callable[[str, Callable[[], object]], None]:
    """A function that gives the database a state by its name. It is made by the first test that
    asks for it; the databases of the others are clones."""

    def restore(state: str, make: Callable[[], object]) -> None:
        name, made = engine.url.database, f"state {state}"
        with admin.connect() as connection:
            query = sa.text("select 1 from pg_database where datname = :name")
            is_made = connection.scalar(query, {"name": made})
        if is_made:
            engine.dispose()
            drop(admin, name)
            clone(admin, name, made)
        else:
            make()
            engine.dispose()
            clone(admin, made, name)

    return restore


@pytest.fixture
def plan() -> Plan:
    return make_plan()


@pytest.fixture
def amenities(engine, plan) -> sa.Table:
    """Six rows with old vectors."""
    return make_table(engine, plan, TEXTS)


@pytest.fixture
def migration(engine, plan, amenities) -> Migration:
    return Migration.open(plan, engine)


@pytest.fixture
def vertex():
    from tests.stand_ins import vertex as stand_in  # a second and more, for all of its services

    with stand_in.serving() as server:
        yield server


def embedder_of(name: str) -> Embedder:
    """Each model is loaded once, and again for another stand-in of a service."""
    return _load_embedder(name, os.environ.get("VERTEX_ENDPOINT"))


@cache
def _load_embedder(name: str, _: str | None) -> Embedder:
    return load_embedder(name)


@pytest.fixture(scope="session")
def old_embedder():
    return embedder_of(OLD)


@pytest.fixture(scope="session")
def new_embedder():
    return embedder_of(NEW)


@pytest.fixture
def filled(migration: Migration, new_embedder: Embedder) -> Migration:
    """A migration whose new column is filled."""
    expansion.expand(migration)
    list(run_backfill(migration, new_embedder))
    return migration


def make_table(engine: sa.Engine, plan: Plan, texts: list[str | None]) -> sa.Table:
    """The plan's table with a row for each text, and old vectors; keys count from 1."""
    embedder = embedder_of(plan.old.model)
    names = plan.table
    table = sa.Table(
        names.name,
        sa.MetaData(),
        sa.Column(names.key, sa.Integer, primary_key=True),
        sa.Column("name", sa.Text),
        sa.Column("description", sa.Text),
        sa.Column(names.content, sa.Text),
        sa.Column(plan.old.column, VECTOR(embedder.model.dimension)),
        *(sa.Column(name, sa.Text) for name in {names.category} if name),
        schema=None if names.schema_name == "public" else names.schema_name,
    )
    rows = [
        {
            names.key: number,
            "name": (text or "").partition(" is a ")[0],
            "description": (text or "").partition(". ")[2],
            names.content: text,
            plan.old.column: embedder.embed_query(text or "nothing"),
        }
        for number, text in enumerate(texts, 1)
    ]
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(sa.insert(table).values(rows))  # one statement for all rows
    return table


def random_vectors(engine: sa.Engine, plan: Plan, rows: int) -> Migration:
    """A table whose new vectors are random, of 64 dimensions: nothing is near to anything. The old
    ones repeat, and so do the texts but for their number."""
    texts = [f"Place {n} is a shop number {n * 7919 % 97}." for n in range(min(rows, REPEATED))]
    table = make_table(engine, plan, texts)
    key, content = table.c[plan.table.key], table.c[plan.table.content]
    number = sa.func.generate_series(REPEATED + 1, rows).column_valued("number")
    place = sa.func.format("Place %s", number)
    text = sa.func.concat(place, sa.func.substr(content, 8))
    values = {key: number, table.c.name: place, content: text}
    values |= {c: c for c in table.columns if c not in values}
    source = sa.select(*values.values()).where(key == (number - 1) % REPEATED + 1)
    with engine.begin() as connection:
        connection.execute(sa.insert(table).from_select(list(values), source))
    migration = Migration.open(plan, engine)
    expansion.expand(migration)
    set_new(migration, np.random.default_rng(1).normal(size=(rows, 64)))
    return migration


def set_new(migration: Migration, vectors: Iterable) -> None:
    """The new vectors of rows 1, 2, …"""
    listed = sa.cast([np.asarray(vector, np.float32).tolist() for vector in vectors], sa.JSON)
    rows = sa.func.json_array_elements_text(listed).table_valued("vector", with_ordinality="key")
    rows = rows.render_derived(name="rows")
    vector = sa.cast(rows.c.vector, VECTOR)
    change = sa.update(migration.table).values({migration.plan.new.column: vector})
    with migration.engine.begin() as connection:
        connection.execute(change.where(migration.key == rows.c.key))


def with_plan(migration: Migration, changes: Mapping[str, Any]) -> Migration:
    """The migration under another plan, not checked again."""
    return replace(migration, plan=changed(migration.plan, changes))


def column_of(engine: sa.Engine, migration: Migration, name: str) -> dict[int, Any]:
    """The values of a column by key, also of one that is in a side table."""
    is_vector = name in (migration.plan.old.column, migration.plan.new.column)
    column = migration.vector(name) if is_vector else migration.table.c[name]
    with engine.connect() as connection:
        query = migration.select(migration.key, column)
        return {row[0]: row[1] for row in connection.execute(query)}


def swap_vectors(migration: Migration, share: float) -> set[str]:
    """That share of the rows gets the old vector of another of them. Answers the keys."""
    vectors = column_of(migration.engine, migration, migration.plan.old.column)
    keys = list(vectors)
    chosen = np.random.default_rng(3).choice(keys, max(2, round(share * len(keys))), replace=False)
    change = sa.update(migration.table).where(migration.key == sa.bindparam("row"))
    change = change.values({migration.plan.old.column: sa.bindparam("vector")})
    rows = [
        {"row": int(key), "vector": vectors[int(other)]}
        for key, other in zip(chosen, np.roll(chosen, 1), strict=True)
    ]
    with migration.engine.begin() as connection:
        connection.execute(change, rows)
    return {str(key) for key in chosen}


def gates_of(migration: Migration) -> dict[str, Gate]:
    """The gates of the database by name, with the counts of an audit."""
    counts = audit(migration)
    with migration.engine.connect() as connection:
        return {gate.name: gate for gate in database_gates(connection, migration, counts)}


def few_questions(folder: Path) -> tuple[str, str]:
    """Overrides of the sandbox's plan: its first judged questions, just enough for a gate, where
    a test is not about the verdict."""
    judged = read_questions(QUESTIONS, DATA / "qrels.tsv")
    chosen = list(judged.qrels)[:MIN_QUESTIONS]
    questions, qrels = folder / "questions.jsonl", folder / "qrels.tsv"
    lines = (json.dumps({"_id": name, "text": judged.texts[name]}) for name in chosen)
    questions.write_text("\n".join(lines))
    grades = ((name, row, g) for name in chosen for row, g in judged.qrels[name].items())
    qrels.write_text("\n".join(f"{name}\t{row}\t{grade}" for name, row, grade in grades))
    return f"evaluation.questions={questions}", f"evaluation.qrels={qrels}"


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


def environment(**more: str) -> dict[str, str]:
    """For a process that runs ragkit from this checkout."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("RAGKIT_", "DB_"))}
    return {**clean, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", **more}

"""The function and its two peers behind functions-framework, over one table, with one model."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice
from pathlib import Path

import httpx
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.database.engine import autocommit
from ragkit.deploy.vendor import build_source
from ragkit.sandbox.folders import Folders
from ragkit.sandbox.postgres import Postgres
from ragkit.sandbox.sample import sample_rows
from tests.bench.peers.mission import Mission
from tests.conftest import PYTHON, ROLE
from tests.function.serve import function_variables, serve_function

ROWS = 2000
"""Texts of the sandbox's sample."""
PEERS = Path(__file__).parent / "peers"
MODEL = {
    "EMBEDDING_MODEL": "mission:Mission", "STOCK_COLUMNS": "mission:Mission=embedding",
    "RAGKIT_PLUGIN_PATH": str(PEERS), "PYTHONPATH": str(PEERS),
}  # fmt: skip
"""One that costs little, so that what is around it shows, with the mission's dimension."""
PGVECTORSTORE = ("functions-framework", "langchain-postgres", "wordllama", "numpy")
"""What the environment of that peer gets."""
INSTALL_SECONDS = 600


@contextmanager
def serving(folder: Path) -> Iterator[dict[str, httpx.Client]]:
    """Clients of the apps by name: ragkit, handwritten and, where it can be installed,
    pgvectorstore."""
    with ExitStack() as stack:
        postgres = Postgres(Folders.at(folder / "home"))
        stack.callback(postgres.remove)
        postgres.start()
        postgres.create("bench", owner=ROLE)
        engine = postgres.engine(ROLE, "bench")
        stack.callback(engine.dispose)
        fill(engine)

        def serve(source: Path, python: Path | str, variables: dict[str, str]) -> httpx.Client:
            return stack.enter_context(serve_function(source, python=python, **variables))

        source, peer = build_source(folder / "ragkit" / "source"), peer_variables(engine)
        apps = {
            "ragkit": serve(source, PYTHON, function_variables(engine, **MODEL)),
            "handwritten": serve(copy_peer("handwritten", folder), PYTHON, peer),
        }
        if python := install_pgvectorstore(folder / "environment"):
            apps["pgvectorstore"] = serve(copy_peer("pgvectorstore", folder), python, peer)
        check_answers(apps)
        yield apps


def fill(engine: sa.Engine) -> None:
    """A stock table of `ROWS` rows with an HNSW index. Each text is there once."""
    samples = enumerate(islice(cycle(sample_rows()), ROWS))
    texts = [(key, row["name"], f"{row['description']} ({key})") for key, row in samples]
    vectors = Mission().embed_documents([f"{name}. {text}" for _, name, text in texts])
    table = sa.Table(
        "amenities", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text), sa.Column("description", sa.Text),
        sa.Column("embedding", VECTOR(len(vectors[0]))),
    )  # fmt: skip
    names = [column.name for column in table.columns]
    rows = [
        dict(zip(names, (*text, vector), strict=True))
        for text, vector in zip(texts, vectors, strict=True)
    ]
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(sa.insert(table).values(rows))
        connection.exec_driver_sql(
            "create index on amenities using hnsw (embedding vector_cosine_ops)"
        )
    with autocommit(engine) as connection:
        connection.exec_driver_sql("vacuum analyze amenities")


def peer_variables(engine: sa.Engine) -> dict[str, str]:
    return {
        "DB_USER": str(engine.url.username), "DB_NAME": str(engine.url.database),
        "DB_SOCKET": str(engine.url.query["unix_sock"]), "PYTHONPATH": str(PEERS),
    }  # fmt: skip


def copy_peer(name: str, folder: Path) -> Path:
    target = folder / name / "source"
    target.mkdir(parents=True)
    (target / "main.py").write_text((PEERS / name / "main.py").read_text())
    return target


def install_pgvectorstore(folder: Path) -> Path | None:
    """The interpreter of a new environment; None, and the reason on stderr, when it cannot be
    made."""
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", *PGVECTORSTORE]
    try:
        for command in ([PYTHON, "-m", "venv", folder], install):
            subprocess.run(
                command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=True
            )
    except subprocess.TimeoutExpired:
        print(f"no PGVectorStore: not installed in {INSTALL_SECONDS} s", file=sys.stderr)
        return None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or ["no reason given"]
        print(f"no PGVectorStore: {lines[-1]}", file=sys.stderr)
        return None
    return python


def check_answers(apps: Mapping[str, httpx.Client]) -> None:
    """All of them answer the same."""
    answers = {name: app.post("/", json={"name": "coffee"}).text for name, app in apps.items()}
    results = [json.loads(text)["results"] for text in answers.values() if text.startswith("{")]
    assert len(results) == len(apps), answers
    assert all(result == results[0] for result in results), answers
    assert len(results[0]) == 3, answers

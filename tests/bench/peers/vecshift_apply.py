"""vecshift 0.4.0 by its own `apply`, with an embedder inside its process that costs nothing.

Its best settings: the largest `batch` that the service takes, no budget, and its index left out,
as ours is. Its limits on rows go by `until`, its --until.
"""

import asyncio
import tempfile
from pathlib import Path

from psycopg.conninfo import make_conninfo
from vecshift.connectors.pgvector import connect_writer, prepare
from vecshift.connectors.pgvector.writer import Layout, PgWriter
from vecshift.embeddings.providers import CONCURRENCY
from vecshift.migrate import JobState, apply

from tests.bench import rows
from tests.bench.peers.measure import Stopwatch, Task

BATCH = 250


class Instant:
    """Its Embedder protocol."""

    tokens = 0

    def __init__(self, dimension: int):
        self._dimension = dimension

    async def embed(self, texts, mode="document"):
        return rows.new_vectors(texts, self._dimension).tolist()


def main(task: Task) -> None:
    server = str(Path(task.socket).parent)
    settings = prepare(make_conninfo(host=server, dbname=task.database, user="postgres"))
    layout = Layout("public", "documents", "id", "content", "vector_new", "vector",
                    task.dimension, "public", "embedding")  # fmt: skip
    share = task.limit / task.rows
    with tempfile.TemporaryDirectory() as folder, connect_writer(settings) as connection:
        run = apply(
            PgWriter(connection, layout), Instant(task.dimension),
            JobState(Path(folder) / "state.json"), dims=task.dimension,
            price_per_million=None, budget_usd=None, chunk_rows=BATCH * CONCURRENCY,
            index=None, until=share if share < 1 else None,
        )  # fmt: skip
        with Stopwatch() as watch:
            result = asyncio.run(run)
    if result.rows_written != task.limit:
        raise SystemExit(f"vecshift wrote {result.rows_written} rows: {result.message}")
    watch.report(result.rows_written)


if __name__ == "__main__":
    main(Task.read())

"""ragkit's own run in a process of its own, by the public API.

    python -m tests.bench.backfill TASK

`options`: `speed` (seconds and texts of a request) and `placement` of the new vectors.
"""

import logging

import sqlalchemy as sa

from ragkit.database.engine import engine_from_env
from ragkit.embedding.catalogue import CATALOGUE, find_model
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.plan.data import NewSection
from ragkit.migration.schema.expansion import expand
from ragkit.retrieval import contract
from ragkit.retrieval.space import READY
from tests.bench.embedders import INSTANT, KnownSpeed, Speed, with_limits
from tests.bench.peers.measure import Stopwatch, Task

OLD = {768: "textembedding-gecko@001", 64: "wordllama-64"}
NEW = {768: "text-embedding-005", 256: "wordllama-256"}
NO_PLACEMENT = 3
"""Exit code: the plan has no such placement."""
UNTHROTTLED = 1e6
"""No app is here that the throttle could protect; the chaos proof measures it."""


class Slowdowns(logging.Handler):
    """Counts the throttle's warnings, which must not come."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


def plan_of(old: int, new: int, placement: str = "column") -> Plan:
    """For the table "documents", by the dimensions of its models."""
    columns = {"model": NEW[new], "column": "vector_new"}
    if placement != "column":
        columns["placement"] = placement
    return Plan.of({
        "table": {"name": "documents", "key": "id", "content": "content"},
        "old": {"model": OLD[old], "column": "embedding"},
        "new": columns,
        "backfill": {"slow_factor": UNTHROTTLED},
    })  # fmt: skip


def engine_of(socket: str, database: str) -> sa.Engine:
    """With the pool that a user's runs have."""
    url = sa.URL.create(
        "postgresql+pg8000", "postgres", database=database, query={"unix_sock": socket}
    )
    return engine_from_env({"DATABASE_URL": url.render_as_string()})


def count_filled(engine: sa.Engine, placement: str) -> int:
    """Rows with a new vector: counted, whatever the progress said; 0 when the contract does not
    take them for whole."""
    with engine.connect() as connection:
        bindings = contract.read_bindings(connection, "public.documents")
        if [b.state for b in bindings] != [READY, READY]:
            return 0
        counted = "vector_new" if placement == "column" else "*"
        return connection.scalar(sa.text(f"select count({counted}) from documents"))


def main(task: Task) -> None:
    placement = task.options.get("placement", "column")
    if placement != "column" and "placement" not in NewSection.model_fields:
        raise SystemExit(NO_PLACEMENT)
    speed = Speed(*task.options.get("speed", (INSTANT.seconds, INSTANT.texts)))
    plan = plan_of(task.options["old_dimension"], task.dimension, placement)
    CATALOGUE[plan.new.model] = with_limits(find_model(plan.new.model), speed)
    embedder = KnownSpeed(find_model(plan.new.model), speed)
    slowdowns = Slowdowns(level=logging.WARNING)
    logging.getLogger("ragkit.migration.backfill.throttle").addHandler(slowdowns)
    engine = engine_of(task.socket, task.database)
    with Stopwatch() as expansion:
        migration = Migration.open(plan, engine)
        expand(migration)
    with Stopwatch() as watch:
        for _ in run_backfill(migration, embedder):
            pass
    filled = count_filled(engine, placement)
    if filled != task.rows:
        raise SystemExit(f"{filled} rows are filled, expected {task.rows}")
    engine.dispose()
    updates = {"updates": task.rows} if placement == "column" else {}
    watch.report(
        task.rows, **updates, expand_seconds=expansion.seconds, requests=embedder.requests,
        in_flight=embedder.busy_seconds / watch.seconds, slowdowns=slowdowns.count,
    )  # fmt: skip


if __name__ == "__main__":
    main(Task.read())

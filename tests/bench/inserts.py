"""What our triggers cost the app: single rows over 12 connections, and one large INSERT.

The driver is pgbench, of the server's own package.
"""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from tests.bench import rows
from tests.bench.backfill import engine_of, plan_of
from tests.bench.contenders import Contender, Scenario, ScriptFailed, timed
from tests.bench.database import BenchServer, Clone
from tests.bench.scenarios import Sizes, rates
from tests.bench.tables import TableShape

CONNECTIONS, PROCESSES = 12, 2
SINGLE = TableShape(10_000, 768)
NEW_DIMENSION = {768: 768, 64: 256}
TPS = re.compile(r"tps = ([\d.]+) \(without initial connection time\)")


def single_rows(server: BenchServer, folder: Path, seconds: int) -> Scenario:
    """Rows a second of an app that inserts a row with its vector in each transaction."""
    statement = folder / "insert.sql"
    vector = ",".join(f"{x:.6f}" for x in rows.old_vectors(1, 1, SINGLE.dimension)[0])
    text = rows.texts(1, 1)[0]
    values = f"('{text}', '[{vector}]')"
    statement.write_text(f"insert into documents (content, embedding) values {values};")

    def insert(clone: Clone) -> dict[str, float]:
        done = subprocess.run(
            [
                server.programs / "pgbench", "-h", clone.socket.parent, "-U", "postgres",
                "-n", "-M", "prepared", "-c", str(CONNECTIONS), "-j", str(PROCESSES),
                "-T", str(seconds), "-f", statement, clone.name,
            ],
            env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True, check=False,
            timeout=60 + 10 * seconds,
        )  # fmt: skip
        found = TPS.search(done.stdout)
        if not found:
            raise ScriptFailed((done.stderr.strip().splitlines() or ["no message"])[-1])
        return {"rows": float(found[1]) * seconds, "seconds": float(seconds)}

    return Scenario(
        both(SINGLE, insert), {"app_insert_rate_with_triggers": rates("with triggers", "without")}
    )


def bulk(sizes: Sizes) -> Scenario:
    """One INSERT of many rows."""
    shape = TableShape(sizes.growth[1], 64)
    statement = (
        "insert into documents (content, embedding) "
        f"select content, embedding from documents order by id limit {sizes.bulk}"
    )

    def insert(clone: Clone) -> dict[str, float]:
        def run() -> None:
            with clone.engine.begin() as connection:
                connection.exec_driver_sql(statement)

        return {"rows": sizes.bulk, "seconds": timed(run)}

    return Scenario(
        both(shape, insert), {"bulk_insert_with_triggers": rates("without", "with triggers")}
    )


def both(shape: TableShape, insert: Callable[[Clone], dict[str, float]]) -> list[Contender]:
    """The same inserts with our triggers on the table, and without."""

    def with_triggers(clone: Clone) -> dict[str, float]:
        engine = engine_of(str(clone.socket), clone.name)
        plan = plan_of(shape.dimension, NEW_DIMENSION[shape.dimension])
        expand(Migration.open(plan, engine))
        engine.dispose()
        return insert(clone)

    return [
        Contender("without", shape, insert), Contender("with triggers", shape, with_triggers),
    ]  # fmt: skip

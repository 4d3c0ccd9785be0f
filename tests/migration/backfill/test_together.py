"""Backfills that are started together, as processes on one table, and run to the end."""

import json
import time
from collections import Counter
from itertools import chain

import pytest
import sqlalchemy as sa

from ragkit.migration import ledger, phases
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work.sweep_state import read_sweep
from ragkit.migration.work.tables import CLAIM, QUEUE, WORKER
from ragkit.migration.work.workers import LEASE_SECONDS
from ragkit.retrieval import contract
from ragkit.retrieval.space import READY
from tests.conftest import TEXTS, changed, make_table
from tests.migration.backfill.vectors import check_vectors
from tests.processes import Script

BACKFILL = """
import json, sys, time
import sqlalchemy as sa
from ragkit.embedding.load import load_embedder
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.plan import Plan
from ragkit.migration.migration import Migration
from tests.stand_ins.recording import RecordingEmbedder
plan = Plan.model_validate_json(sys.argv[1])
embedder = RecordingEmbedder(load_embedder(plan.new.model), lambda _: time.sleep(0.03))
migration = Migration.open(plan, sa.create_engine(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
for step in run_backfill(migration, embedder):
    print(json.dumps(step.done), flush=True)
print(json.dumps(embedder.texts))
"""
ROWS = 1500


@pytest.fixture
def wide(engine, plan) -> Migration:
    """A table of many pages: several ranges to claim."""
    plan = changed(plan, {"backfill.batch_size": 16})
    make_table(engine, plan, [f"{text} {n}." for n in range(ROWS // 6) for text in TEXTS])
    migration = Migration.open(plan, engine)
    expand(migration)
    return migration


@pytest.fixture
def start(wide):
    """Starts some backfills at the same moment."""
    processes: list[Script] = []

    def start_together(count: int) -> list[Script]:
        for _ in range(count):
            url = wide.engine.url.render_as_string()
            processes.append(Script(BACKFILL, wide.plan.model_dump_json(), url))
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        return processes

    yield start_together
    for process in processes:
        process.kill()
        process.communicate()


def texts_of(process: Script) -> list[str]:
    """What it has embedded."""
    output, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    return json.loads(output.splitlines()[-1])


def check_end(migration, embedder):
    """One ready column, every vector that of its text, nothing left to do, and nobody at work."""
    check_vectors(migration, embedder)
    with migration.engine.connect() as connection:
        assert ledger.phase(connection, migration.id) == phases.BACKFILLED
        bindings = contract.read_bindings(connection, migration.plan.table.qualified_name)
        assert [b.state for b in bindings if b.column == migration.plan.new.column] == [READY]
        events = [event.kind for event in ledger.events(connection, migration.id)]
        assert events.count(phases.BACKFILLED) == 1
        assert read_sweep(connection, migration).is_complete
        for table in (CLAIM, QUEUE):
            assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("count", [2, 4])
def test_they_share_the_rows_embed_none_twice_and_all_end(wide, start, new_embedder, count):
    embedded = [texts_of(process) for process in start(count)]
    assert Counter(chain(*embedded)).most_common(1)[0][1] == 1
    assert sum(map(len, embedded)) == ROWS
    assert sum(bool(texts) for texts in embedded) >= 2
    check_end(wide, new_embedder)
    with wide.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(WORKER)) == 0


@pytest.mark.timeout(120)
def test_the_others_finish_the_work_of_one_that_is_killed(wide, start, new_embedder):
    started = time.monotonic()
    killed, *others = start(3)
    while int(killed.stdout.readline()) == 0:
        pass
    killed.kill()
    embedded = [texts_of(process) for process in others]
    assert Counter(chain(*embedded)).most_common(1)[0][1] == 1
    check_end(wide, new_embedder)
    assert time.monotonic() - started < 4 * LEASE_SECONDS

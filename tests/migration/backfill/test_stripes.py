"""Stripes: their number, and two backfills that share them."""

import json
import re
import signal
import subprocess
from collections import Counter

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from ragkit.errors import PhaseError
from ragkit.migration import ledger
from ragkit.migration.backfill.stripes import (
    MAX_STRIPES,
    MIN_WAIT,
    OtherBackfills,
    claim_stripes,
    stripe_count,
)
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from tests.conftest import PYTHON, TEXTS, changed, environment, make_table
from tests.migration.backfill.vectors import check_vectors

BACKFILL = """
import json, sys
import sqlalchemy as sa
from ragkit.embedding.load import load_embedder
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.plan import Plan
from ragkit.migration.migration import Migration
from tests.stand_ins.recording import RecordingEmbedder
plan = Plan.model_validate_json(sys.argv[1])
embedder = RecordingEmbedder(load_embedder(plan.new.model))
migration = Migration.open(plan, sa.create_engine(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
for step in run_backfill(migration, embedder):
    pass
print(json.dumps(embedder.texts))
"""


@given(st.integers(0, 10**7), st.integers(1, 10_000))
def test_the_number_of_stripes_is_a_power_of_two_and_each_has_several_batches(rows, batch_size):
    count = stripe_count(rows, batch_size)
    assert 1 <= count <= MAX_STRIPES
    assert count & (count - 1) == 0
    assert count == 1 or rows / count >= 4 * batch_size


def test_two_backfills_share_the_rows_and_embed_none_twice(engine, plan, new_embedder):
    plan = changed(plan, {"backfill.batch_size": 16})
    make_table(engine, plan, [f"{text} {n}." for n in range(200) for text in TEXTS])
    migration = Migration.open(plan, engine)
    expand(migration)
    with engine.connect() as connection:
        assert ledger.stripes(connection, migration.id) == 16
    processes = [
        subprocess.Popen(
            [PYTHON, "-c", BACKFILL, plan.model_dump_json(), engine.url.render_as_string()],
            env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    first, second = (json.loads(process.communicate(timeout=100)[0]) for process in processes)
    assert Counter(first + second).most_common(1)[0][1] == 1
    assert len(first) + len(second) == 1200
    assert min(len(first), len(second)) > 120  # both have worked
    check_vectors(migration, new_embedder)


class Clock:
    def __init__(self):
        self.now, self.pauses = 0.0, []

    def sleep(self, seconds):
        self.now += seconds
        self.pauses.append(seconds)

    def __call__(self):
        return self.now


@pytest.fixture
def frozen(engine, migration):
    """Another process's backfill, stopped while it holds every stripe."""
    expand(migration)
    script = BACKFILL.replace("for step in run", "for step in claim_and_freeze(migration) or run")
    script = script.replace("import json, sys\n", FREEZE)
    process = subprocess.Popen(
        [PYTHON, "-c", script, migration.plan.model_dump_json(), engine.url.render_as_string()],
        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdout.readline()
    process.stdin.write("go\n")
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(signal.SIGSTOP)
    yield process
    process.kill()
    process.wait()


FREEZE = """
import json, sys
from ragkit.migration.backfill.stripes import claim_stripes
def claim_and_freeze(migration):
    with claim_stripes(migration, 1) as claimed:
        next(claimed)
        print("claimed", flush=True)
        sys.stdin.readline()
"""


def test_a_frozen_backfill_is_named_and_not_waited_for_without_end(migration, frozen, caplog):
    clock = Clock()
    others = OtherBackfills(migration, 1, 240.0, clock.sleep, clock)
    with pytest.raises(PhaseError, match=r"6 rows are claimed by 'ragkit backfill by ") as error:
        for _ in range(1000):
            others.wait(6)
    assert 240 <= clock.now <= 250
    assert len(clock.pauses) < 70  # it does not spin
    assert f":{frozen.pid}' (role " in str(error.value)
    (pid,) = re.findall(r"pg_terminate_backend\((\d+)\)", str(error.value))
    assert len([record for record in caplog.records if "no row was written" in record.message]) == 1
    with migration.engine.connect() as connection:
        connection.execute(sa.text("select pg_terminate_backend(:pid)"), {"pid": int(pid)})
    with claim_stripes(migration, 1) as claimed:
        assert list(claimed) == [0]


def test_a_backfill_that_writes_is_waited_for(migration, frozen):
    clock = Clock()
    others = OtherBackfills(migration, 1, 240.0, clock.sleep, clock)
    for pending in range(2000, 1000, -1):
        others.wait(pending)
    assert clock.now >= 1000 * MIN_WAIT

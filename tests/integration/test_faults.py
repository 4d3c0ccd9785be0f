"""A bad day: what the model and the server do, and that the next run ends in the same state."""

import json
import subprocess
import threading
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.embedders.plugin import PluginEmbedder
from ragkit.errors import DatabaseError, ModelBusy, ModelUnavailable, WrongDimension
from ragkit.migration import aside, backfill, coverage, ledger, patience, schema, verdict
from ragkit.migration.subject import Migration
from ragkit.migration.writer import write
from ragkit.sandbox.folders import Folders
from ragkit.sandbox.postgres import Postgres
from tests.conftest import NEW, PYTHON, TEXTS, environment, make_table
from tests.integration.test_backfill import check_vectors
from tests.stand_ins.faulty import Faulty


def faulty(faults=(), refuses=None) -> PluginEmbedder:
    """The letters model by its own name, so that the contract takes it for what it is."""
    made = PluginEmbedder(NEW)
    made._embeddings = Faulty(faults, refuses)
    return made


def counted(migration):
    with migration.engine.connect() as connection:
        return coverage.count(connection, migration)


@pytest.mark.parametrize("fault", [429, 500, "drop", "nan", "fewer", "ragged"])
def test_what_passes_is_waited_for(migration, new_embedder, fault):
    schema.expand(migration)
    list(backfill.fill(migration, faulty([None, fault])))
    check_vectors(migration, new_embedder)
    assert counted(migration).set_aside == 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [(401, ModelUnavailable), (403, ModelUnavailable), (404, ModelUnavailable),
     ("dimension", WrongDimension), ("hang", ModelBusy)],
)  # fmt: skip
def test_what_concerns_every_row_stops_the_run_and_the_next_ends_it(
    migration, new_embedder, fault, error
):
    schema.expand(migration)
    hasty = replace(migration, plan=migration.plan.model_copy(update={"model_seconds": 0.5}))
    with pytest.raises(error):
        list(backfill.fill(hasty, faulty([None, fault])))
    half = counted(migration)
    assert half.set_aside == 0
    assert half.pending > 0
    with migration.engine.connect() as connection:
        assert ledger.phase(connection, migration.id) == ledger.EXPANDED
    again = faulty()
    list(backfill.fill(migration, again))
    check_vectors(migration, new_embedder)
    assert len(again._embeddings.seen) == half.pending  # nothing is paid twice


class Watched(Faulty):
    """Tells `then` of each call before it answers."""

    def __init__(self, then):
        super().__init__()
        self.then = then

    def embed_documents(self, texts):
        self.then(len(self.seen))
        return super().embed_documents(texts)


def watched(then=lambda _: None) -> PluginEmbedder:
    made = PluginEmbedder(NEW)
    made._embeddings = Watched(then)
    return made


def test_a_backfill_outlives_dropped_connections_and_asks_for_nothing_twice(
    engine, plan, server, new_embedder
):
    make_table(engine, plan, [f"Place {n} is a shop. Wool." for n in range(40)])
    migration = Migration.open(plan.model_copy(update={"batch_size": 4}), engine)
    schema.expand(migration)
    admin, dropped = server.engine(), []
    drop = sa.text(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = :name"
    ).bindparams(name=engine.url.database)

    def sometimes(seen):
        if seen in (10, 20, 30):
            with admin.connect() as connection:
                dropped.extend(connection.execute(drop).scalars())

    embedder = watched(sometimes)
    list(backfill.fill(migration, embedder))
    admin.dispose()
    assert len(dropped) >= 3
    check_vectors(migration, new_embedder)
    assert max(Counter(embedder._embeddings.seen).values()) == 1


@pytest.mark.parametrize("steps", range(1, 9))
def test_a_kill_costs_one_batch_at_most(engine, plan, new_embedder, steps):
    make_table(engine, plan, [f"Place {n} is a shop. Wool." for n in range(40)])
    migration = Migration.open(plan.model_copy(update={"batch_size": 10}), engine)
    schema.expand(migration)
    first, again = watched(), watched()
    run = backfill.fill(migration, first)
    for _ in range(steps):
        next(run)
    time.sleep(0.1)  # what was sent to the model comes back
    run.close()  # nothing of a generator that is closed is run, as after a kill
    list(backfill.fill(migration, again))
    check_vectors(migration, new_embedder)
    assert len(first._embeddings.seen) + len(again._embeddings.seen) - 40 <= 10


def test_a_refused_row_is_set_aside_with_its_reason_and_the_rest_goes_on(migration, new_embedder):
    schema.expand(migration)
    list(backfill.fill(migration, faulty(refuses="Champagne")))
    now = counted(migration)
    assert (now.filled, now.pending, now.set_aside) == (5, 0, 1)
    (letter,) = aside.listed(migration)
    assert letter.key == "4"
    assert "400" in letter.reason
    with migration.engine.connect() as connection:
        gates = {g.name: g for g in verdict.live_gates(connection, migration)}
    assert gates["rows set aside"].passed is False
    assert gates["rows set aside"].observed == "1 refused by the model"


def test_it_is_not_asked_for_again_until_its_text_changes(migration, new_embedder):
    schema.expand(migration)
    list(backfill.fill(migration, faulty(refuses="Champagne")))
    again = faulty()
    list(backfill.fill(migration, again))
    assert again._embeddings.seen == []
    with migration.engine.begin() as connection:
        edit = sa.update(migration.table).where(migration.key == 4)
        connection.execute(edit.values(content="Bubbles is a bar. Lemonade."))
    assert aside.listed(migration) == []
    list(backfill.fill(migration, again))
    assert again._embeddings.seen == ["Bubbles is a bar. Lemonade."]
    check_vectors(migration, new_embedder)


def test_or_until_somebody_asks(migration, new_embedder):
    schema.expand(migration)
    list(backfill.fill(migration, faulty(refuses="Champagne")))
    assert aside.forget(migration) == 1
    list(backfill.fill(migration, new_embedder))
    check_vectors(migration, new_embedder)


def test_a_set_aside_row_is_filled_by_hand_and_counts_no_more(migration, new_embedder):
    schema.expand(migration)
    list(backfill.fill(migration, faulty(refuses="Champagne")))
    with migration.engine.begin() as connection:
        vector = new_embedder.embed_query(TEXTS[3])[None, :]
        write(connection, migration, ["4"], [TEXTS[3]], np.asarray(vector, np.float32))
    assert counted(migration).set_aside == 0


SCRIPT = """
import json, sys
import sqlalchemy as sa
from ragkit.migration import backfill
from ragkit.migration.plan import Plan
from ragkit.migration.subject import Migration
from tests.integration.test_faults import faulty
plan = Plan.model_validate_json(sys.argv[1])
embedder = faulty()
migration = Migration.open(plan, sa.create_engine(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
for step in backfill.fill(migration, embedder):
    pass
print(json.dumps(embedder._embeddings.seen))
"""


def test_two_backfills_share_the_work_and_embed_no_row_twice(engine, plan, new_embedder):
    plan = plan.model_copy(update={"batch_size": 16})
    make_table(engine, plan, [f"{text} {n}." for n in range(500) for text in TEXTS])
    migration = Migration.open(plan, engine)
    schema.expand(migration)
    with engine.connect() as connection:
        assert ledger.stripes(connection, migration.id) == 16
    both = [
        subprocess.Popen(
            [PYTHON, "-c", SCRIPT, plan.model_dump_json(), engine.url.render_as_string()],
            env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    seen = [json.loads(process.communicate(timeout=100)[0]) for process in both]
    assert Counter(seen[0] + seen[1]).most_common(1)[0][1] == 1
    assert len(seen[0]) + len(seen[1]) == 3000
    assert min(map(len, seen)) > 300  # both worked
    check_vectors(migration, new_embedder)


def test_a_server_that_stays_away_is_an_error_and_the_next_run_ends_it(tmp_path, plan, monkeypatch):
    monkeypatch.setattr(patience, "SECONDS", 1.0)
    server = Postgres(Folders.at(tmp_path / "dies"))
    try:
        server.start()
        server.create("dies", owner="retrieval-service")
        engine = sa.create_engine(server.url("retrieval-service", "dies"), pool_pre_ping=True)
        make_table(engine, plan, [f"{text} {n}." for n in range(50) for text in TEXTS])
        migration = Migration.open(plan, engine)
        schema.expand(migration)
        killer = threading.Timer(0.3, server.kill)
        killer.start()
        with pytest.raises(DatabaseError, match=r"cannot be reached|terminat|shutting"):
            list(backfill.fill(migration, faulty()))
        killer.join()
        time.sleep(0.2)
        server.start()
        assert list(backfill.fill(migration, faulty()))[-1].done == 300
        check_vectors(migration, faulty())
        engine.dispose()
    finally:
        server.remove()

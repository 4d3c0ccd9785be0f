import os
import signal
import subprocess
import time
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pgvector.sqlalchemy import VECTOR

from ragkit import contract
from ragkit.embedders import load
from ragkit.errors import DatabaseError, ModelUnavailable, SpaceMismatch
from ragkit.migration import backfill, coverage, index, ledger, schema
from ragkit.migration.subject import Migration
from ragkit.migration.writer import write
from ragkit.service import SearchService
from tests.conftest import NEW, PYTHON, TEXTS, column_of, environment, make_table


def fill(migration, embedder):
    schema.expand(migration)
    return list(backfill.fill(migration, embedder))


def check_vectors(migration, embedder):
    """Re-embeds every text; independent of what the library believes."""
    texts = column_of(migration.engine, migration, migration.plan.content)
    for key, vector in column_of(migration.engine, migration, migration.plan.new_column).items():
        if texts[key] is None or not texts[key].strip():
            assert vector is None
        else:
            np.testing.assert_allclose(vector, embedder.embed_query(texts[key]), atol=1e-6)


class Watched:
    """An embedder that does something between reading a text and answering for it."""

    def __init__(self, embedder, meanwhile):
        self.model, self._embedder, self._meanwhile = embedder.model, embedder, meanwhile
        self.seen: list[str] = []

    def embed_documents(self, texts):
        self.seen += texts
        self._meanwhile(texts)
        return self._embedder.embed_documents(texts)


def test_every_row_gets_the_vector_of_its_text(migration, new_embedder):
    steps = fill(migration, new_embedder)
    assert (steps[0].done, steps[0].total) == (0, 6)
    assert (steps[-1].done, steps[-1].total) == (6, 6)
    assert [s.done for s in steps] == sorted(s.done for s in steps)
    check_vectors(migration, new_embedder)


def test_at_the_end_the_column_is_ready(migration, new_embedder):
    fill(migration, new_embedder)
    with migration.engine.connect() as connection:
        held = {b.column: b.state for b in contract.bindings(connection, migration.plan.qualified)}
        assert ledger.phase(connection, migration.id) == ledger.BACKFILLED
    assert held == {"embedding": contract.READY, "new vector": contract.READY}


def test_a_second_run_embeds_nothing(migration, new_embedder):
    fill(migration, new_embedder)
    watched = Watched(new_embedder, lambda texts: None)
    steps = list(backfill.fill(migration, watched))
    assert watched.seen == []
    assert (steps[0].done, steps[-1].done) == (6, 6)


BLANK = [None, "", "  ", "\n\t", "\u00a0\u2003", "\u200b\ufeff"]


def test_rows_without_text_are_left_pending_and_never_sent(engine, plan, new_embedder):
    make_table(engine, plan, [TEXTS[0], *BLANK, TEXTS[1]])
    migration = Migration.open(plan, engine)
    watched = Watched(new_embedder, lambda texts: None)
    schema.expand(migration)
    list(backfill.fill(migration, watched))
    assert watched.seen == TEXTS[:2]
    with engine.connect() as connection:
        found = coverage.count(connection, migration)
    assert found == coverage.Coverage(rows=8, filled=2, pending=0, empty=6, set_aside=0)
    assert found.share == 1.0


def test_a_text_edited_while_its_vector_is_made_gets_the_new_ones(migration, new_embedder):
    edited = []

    def edit(texts):
        if TEXTS[0] in texts and not edited:
            edited.append(True)
            with migration.engine.begin() as connection:
                change = sa.update(migration.table).where(migration.key == 1)
                connection.execute(change.values(content="Edited meanwhile"))

    schema.expand(migration)
    list(backfill.fill(migration, Watched(new_embedder, edit)))
    assert edited
    check_vectors(migration, new_embedder)


def test_rows_inserted_and_deleted_meanwhile_end_right(migration, new_embedder):
    done = []

    def change(texts):
        if not done:
            done.append(True)
            with migration.engine.begin() as connection:
                connection.execute(sa.delete(migration.table).where(migration.key == 2))
                for key in (-5, 100):  # behind and ahead of where the pages are
                    row = {"id": key, "name": "n", "content": f"inserted {key}"}
                    connection.execute(sa.insert(migration.table).values(row))

    schema.expand(migration)
    steps = list(backfill.fill(migration, Watched(new_embedder, change)))
    assert steps[-1].done == 7
    check_vectors(migration, new_embedder)


def test_a_table_in_a_schema_of_an_odd_name(engine, plan, new_embedder):
    """From expand to the app's own search, with every name in need of quotes."""
    odd = {
        "table_schema": 'My "Shop" 50%',
        "table": "Rows:All",
        "key": "The Key",
        "content": "Te xt",
    }
    plan = plan.model_copy(update={**odd, "label": "Te xt"})
    table = sa.Table(
        plan.table, sa.MetaData(schema=plan.table_schema),
        sa.Column(plan.key, sa.Uuid, primary_key=True, server_default=sa.func.gen_random_uuid()),
        sa.Column(plan.content, sa.Text), sa.Column(plan.old_column, VECTOR(256)),
    )  # fmt: skip
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema(plan.table_schema))
        table.create(connection)
        connection.execute(sa.insert(table), [{plan.content: text} for text in TEXTS])
    migration = Migration.open(plan, engine)
    schema.expand(migration)
    list(backfill.fill(migration, new_embedder))
    assert index.build(migration).valid
    with engine.connect() as connection:
        assert coverage.count(connection, migration).filled == len(TEXTS)
    service = SearchService(engine, new_embedder, plan.qualified, [plan.content])
    assert service.search(TEXTS[2], 1)[0][plan.content] == TEXTS[2]


def test_no_transaction_is_open_while_the_model_runs(migration, server, new_embedder):
    found = []
    query = sa.text(
        "select count(*) from pg_stat_activity where datname = :name and xact_start is not null "
        "and pid <> pg_backend_pid()"
    )
    admin = server.engine(database=migration.engine.url.database)

    def look(texts):
        time.sleep(0.1)  # the batch before may be on its way into the table
        with admin.connect() as connection:
            found.append(connection.scalar(query, {"name": migration.engine.url.database}))

    schema.expand(migration)
    list(backfill.fill(migration, Watched(new_embedder, look)))
    assert found
    assert set(found) == {0}
    admin.dispose()


def test_a_failing_model_stops_the_run_and_the_next_goes_on(migration, new_embedder):
    def fail(texts):
        if TEXTS[4] in texts:
            raise ModelUnavailable("quota")

    schema.expand(migration)
    with pytest.raises(ModelUnavailable):
        list(backfill.fill(migration, Watched(new_embedder, fail)))
    with migration.engine.connect() as connection:
        assert coverage.count(connection, migration).pending > 0
        assert ledger.phase(connection, migration.id) == ledger.EXPANDED
    steps = list(backfill.fill(migration, new_embedder))
    assert steps[0].done == 4
    check_vectors(migration, new_embedder)


def test_kill_9_and_again(engine, plan, new_embedder):
    """A real process, killed as soon as it has written something."""
    make_table(engine, plan, [f"{text} Number {n}." for n in range(150) for text in TEXTS])
    migration = Migration.open(plan, engine)
    schema.expand(migration)
    script = (
        "import sys, sqlalchemy as sa; from ragkit.migration import backfill; "
        "from ragkit.migration.plan import Plan; from ragkit.migration.subject import Migration; "
        "from ragkit.embedders import load; plan = Plan.model_validate_json(sys.argv[1]); "
        "m = Migration.open(plan, sa.create_engine(sys.argv[2])); "
        "[print(s.done, flush=True) for s in backfill.fill(m, load(plan.new_model))]"
    )
    process = subprocess.Popen(
        [PYTHON, "-c", script, plan.model_dump_json(), engine.url.render_as_string()],
        env=environment(), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    while int(process.stdout.readline() or 900) < 100:
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with engine.connect() as connection:
        half = coverage.count(connection, migration)
        assert ledger.phase(connection, migration.id) == ledger.EXPANDED
    assert 0 < half.filled < 900
    steps = list(backfill.fill(migration, new_embedder))
    assert steps[0].done >= half.filled
    assert steps[-1].done == 900
    check_vectors(migration, new_embedder)


def test_another_space_is_refused(migration):
    """The same dimension, another model: nothing but the contract can tell."""
    schema.expand(migration)
    other = load(NEW)
    other.model = replace(other.model, name="impostor")
    with pytest.raises(SpaceMismatch, match="impostor"):
        list(backfill.fill(migration, other))
    assert set(column_of(migration.engine, migration, "new vector").values()) == {None}


def test_without_expand_there_is_nothing_to_fill(migration, new_embedder):
    with pytest.raises(DatabaseError):
        list(backfill.fill(migration, new_embedder))


def test_a_trigger_that_undoes_the_writes_ends_in_an_error(migration, new_embedder):
    schema.expand(migration)
    with migration.engine.begin() as connection:
        connection.exec_driver_sql(
            "create function undo() returns trigger language plpgsql as "
            '$$ begin new."new vector" := null; return new; end $$'
        )
        connection.exec_driver_sql(
            'create trigger zzz before update on "Amenities" for each row execute function undo()'
        )
    with pytest.raises(DatabaseError, match="trigger"):
        list(backfill.fill(migration, new_embedder))


@pytest.mark.parametrize(
    ("type_", "keys"),
    [
        ("uuid", ["6a1f4c9e-0000-4000-8000-00000000000a", "6a1f4c9e-0000-4000-8000-00000000000b"]),
        ("text", ["ä key, with \t odd \\ characters", "z"]),
        ("bigint", ["-9223372036854775808", "9223372036854775807"]),
    ],
)
def test_keys_of_other_types(engine, plan, new_embedder, type_, keys):
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f'create table "Amenities" (id {type_} primary key, name text, content text, '
            "embedding vector(256))"
        )
        for key in keys:
            connection.exec_driver_sql(
                'insert into "Amenities" (id, content) values (%s, %s)', (key, f"text of {key}")
            )
    migration = Migration.open(plan.model_copy(update={"batch_size": 1}), engine)
    assert fill(migration, new_embedder)[-1].done == 2
    check_vectors(migration, new_embedder)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    texts=st.lists(
        st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=20),
        min_size=1, max_size=6,
    ),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_what_is_written_is_read_back_bit_by_bit(engine, plan, texts, seed):
    with engine.begin() as connection:
        connection.exec_driver_sql(
            'drop table if exists "Amenities"; drop schema if exists ragkit cascade'
        )
    make_table(engine, plan, texts)
    migration = Migration.open(plan, engine)
    schema.expand(migration)
    vectors = np.random.default_rng(seed).normal(size=(len(texts), 64)).astype(np.float32)
    keys = [str(n) for n in range(1, len(texts) + 1)]
    with engine.begin() as connection:
        assert write(connection, migration, keys, texts, vectors).landed == len(texts)
        again = write(connection, migration, keys, texts, -vectors)
        assert again.landed == 0  # they are filled
    found = column_of(engine, migration, "new vector")
    np.testing.assert_array_equal(np.array([found[int(key)] for key in keys], np.float32), vectors)

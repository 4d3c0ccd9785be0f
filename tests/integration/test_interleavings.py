"""hypothesis drives writes, batches, kills and resumes in any order; the end is always right."""

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ragkit.migration import backfill, schema
from ragkit.migration.plan import Plan
from ragkit.migration.subject import Migration
from tests.conftest import NEW, OLD, ROLE, TEXTS, column_of, make_table
from tests.integration.test_backfill import check_vectors
from tests.stand_ins.letters import Letters

keys = st.integers(1, 12)
texts = st.sampled_from(["", " \n", None, "Tea.", "Maps and guides.", "Wool."])


@pytest.mark.timeout(240)
def test_any_order_of_writes_batches_kills_and_resumes(server, new_embedder):
    server.create("interleavings", owner=ROLE)
    engine = server.engine(ROLE, "interleavings")
    plan = Plan(
        database="env", app="manual", table="Amenities", old_model=OLD, new_model=NEW,
        new_column="new vector", batch_size=2,
    )  # fmt: skip

    class Interleaving(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            with engine.begin() as connection:
                connection.exec_driver_sql('drop table if exists "Amenities"')
                connection.exec_driver_sql("drop schema if exists ragkit cascade")
            make_table(engine, plan, TEXTS)
            self.migration = Migration.open(plan, engine)
            schema.expand(self.migration)
            self.running = None

        @rule(key=keys, text=texts)
        def write(self, key, text):
            with engine.begin() as connection:
                table = self.migration.table
                change = sa.update(table).where(self.migration.key == key).values(content=text)
                if not connection.execute(change).rowcount:
                    row = {"id": key, "name": "n", "content": text}
                    connection.execute(sa.insert(table).values(row))

        @rule(key=keys, name=st.sampled_from(["a", "b"]))
        def edit_something_else(self, key, name):
            with engine.begin() as connection:
                change = sa.update(self.migration.table).where(self.migration.key == key)
                connection.execute(change.values(name=name))

        @rule(key=keys)
        def delete(self, key):
            with engine.begin() as connection:
                connection.execute(sa.delete(self.migration.table).where(self.migration.key == key))

        @rule(steps=st.integers(1, 3))
        def some_batches(self, steps):
            self.running = self.running or backfill.fill(self.migration, new_embedder)
            for _ in range(steps):
                if next(self.running, None) is None:
                    self.running = None
                    return

        @rule()
        def kill(self):
            if self.running:
                self.running.close()
            self.running = None

        @invariant()
        def no_vector_is_stale(self):
            """At every moment: what stands beside a text was made from it."""
            contents = column_of(engine, self.migration, "content")
            vectors = column_of(engine, self.migration, "new vector")
            for key, vector in vectors.items():
                if vector is not None:
                    assert vector == pytest.approx(Letters().embed_query(contents[key]), abs=1e-6)

        def teardown(self):
            self.kill()
            list(backfill.fill(self.migration, new_embedder))
            check_vectors(self.migration, new_embedder)

    run_state_machine_as_test(
        Interleaving, settings=settings(max_examples=12, stateful_step_count=12, deadline=None)
    )
    engine.dispose()

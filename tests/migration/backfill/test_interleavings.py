"""hypothesis runs writes, batches, kills and resumes in any order, and checks every vector."""

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from tests.conftest import ROLE, TEXTS, column_of, make_plan, make_table
from tests.migration.backfill.machine import Backfilling
from tests.migration.backfill.vectors import check_no_orphans, check_vectors
from tests.stand_ins.letters import Letters

KEYS = st.integers(1, 12)
CONTENTS = st.sampled_from(["", " \n", None, "Tea.", "Maps and guides.", "Wool."])


@pytest.mark.timeout(240)
@pytest.mark.parametrize("placement", ["column", "side_table"])
def test_every_vector_belongs_to_its_text_in_any_order_of_writes_batches_and_kills(
    server, new_embedder, placement
):
    server.create(f"interleavings {placement}", owner=ROLE)
    engine = server.engine(ROLE, f"interleavings {placement}")
    plan = make_plan({"backfill.batch_size": 2, "new.placement": placement})

    class Interleaving(Backfilling):
        embedder = new_embedder

        def __init__(self):
            super().__init__()
            with engine.begin() as connection:
                connection.exec_driver_sql('drop table if exists "Amenities"')
                connection.exec_driver_sql("drop schema if exists ragkit cascade")
            make_table(engine, plan, TEXTS)
            self.migration = Migration.open(plan, engine)
            expand(self.migration)

        @rule(key=KEYS, text=CONTENTS)
        def write(self, key, text):
            with engine.begin() as connection:
                table = self.migration.table
                change = sa.update(table).where(self.migration.key == key).values(content=text)
                if not connection.execute(change).rowcount:
                    row = {"id": key, "name": "n", "content": text}
                    connection.execute(sa.insert(table).values(row))

        @rule(key=KEYS, name=st.sampled_from(["a", "b"]))
        def edit_something_else(self, key, name):
            with engine.begin() as connection:
                change = sa.update(self.migration.table).where(self.migration.key == key)
                connection.execute(change.values(name=name))

        @rule(key=KEYS)
        def delete(self, key):
            with engine.begin() as connection:
                connection.execute(sa.delete(self.migration.table).where(self.migration.key == key))

        @rule()
        def truncate(self):
            with engine.begin() as connection:
                connection.exec_driver_sql('truncate "Amenities"')

        @invariant()
        def no_vector_is_stale(self):
            """A stored vector was made from the text of its row."""
            contents = column_of(engine, self.migration, "content")
            vectors = column_of(engine, self.migration, "new vector")
            for key, vector in vectors.items():
                if vector is not None:
                    assert vector == pytest.approx(Letters().embed_query(contents[key]), abs=1e-6)

        def teardown(self):
            self.finish()
            check_vectors(self.migration, new_embedder)
            check_no_orphans(self.migration)

    run_state_machine_as_test(
        Interleaving, settings=settings(max_examples=12, stateful_step_count=12)
    )
    engine.dispose()

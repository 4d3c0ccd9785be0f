"""hypothesis runs writes, faults of the provider, steps and kills in any order, while jobs are
under way, and checks every vector."""

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ragkit.embedding.load import load_embedder
from ragkit.errors import ModelUnavailable
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.plan.models.facts import ModelFacts
from ragkit.migration.progress.audit import audit
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work import jobs
from tests.conftest import ROLE, TEXTS, changed, column_of, make_plan, make_table
from tests.migration.backfill.vectors import check_no_orphans, check_vectors
from tests.stand_ins.batches import openai
from tests.stand_ins.embeddings.service import KEY

MODEL = "text-embedding-3-small"
KEYS = st.integers(1, 12)
CONTENTS = st.sampled_from(["", " \n", None, "Tea.", "Maps and guides.", "Wool."])
FAULTS = st.sampled_from(
    ["failed", "full", "expired", "cancelled", "partial", "refused", "lost", "lost file", "broken"]
)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("placement", ["column", "side_table"])
def test_every_vector_belongs_to_its_text_whatever_happens_to_jobs(server, placement):
    server.create(f"batches {placement}", owner=ROLE)
    engine = server.engine(ROLE, f"batches {placement}")

    class Interleaving(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.serving = openai.serving(1536)
            self.live, self.provider = self.serving.__enter__()
            facts = ModelFacts(
                base_url=f"{self.live.address}/v1", key_env="OPENAI_API_KEY", batch_texts=4
            )
            changes = {"new.model": f"{MODEL}/16", "backfill.mode": "batch"}
            plan = changed(make_plan({"new.placement": placement}), changes)
            plan = plan.model_copy(update={"model_facts": {MODEL: facts}})
            with engine.begin() as connection:
                connection.exec_driver_sql('drop table if exists "Amenities"')
                connection.exec_driver_sql("drop schema if exists ragkit cascade")
            make_table(engine, plan, TEXTS)
            self.migration = Migration.open(plan, engine)
            expand(self.migration)
            env = {"OPENAI_API_KEY": KEY}
            self.embedder = load_embedder(plan.new.model, plan.facts, env)
            self.backfill = None

        @rule(key=KEYS, text=CONTENTS)
        def write(self, key, text):
            with engine.begin() as connection:
                table = self.migration.table
                change = sa.update(table).where(self.migration.key == key).values(content=text)
                if not connection.execute(change).rowcount:
                    row = {"id": key, "name": "n", "content": text}
                    connection.execute(sa.insert(table).values(row))

        @rule(key=KEYS)
        def delete(self, key):
            with engine.begin() as connection:
                connection.execute(sa.delete(self.migration.table).where(self.migration.key == key))

        @rule(fault=FAULTS)
        def the_next_job_goes_wrong(self, fault):
            self.provider.faults = [fault]

        @rule(held=st.booleans())
        def jobs_take_longer_or_end(self, held):
            self.provider.held = held

        @rule(steps=st.integers(1, 6))
        def go_on(self, steps):
            self.backfill = self.backfill or run_backfill(self.migration, self.embedder)
            try:
                for _ in range(steps):
                    if next(self.backfill, None) is None:
                        self.backfill = None
                        return
            except ModelUnavailable:
                self.backfill = None

        @rule()
        def kill(self):
            if self.backfill:
                self.backfill.close()
            self.backfill = None

        @invariant()
        def no_vector_is_stale(self):
            """A stored vector was made from the text of its row."""
            contents = column_of(engine, self.migration, "content")
            vectors = column_of(engine, self.migration, "new vector")
            for key, vector in vectors.items():
                if vector is not None:
                    made = self.embedder.embed_query(contents[key])
                    assert vector == pytest.approx(made, abs=1e-6)

        def teardown(self):
            self.kill()
            self.provider.held, self.provider.faults = False, []
            list(run_backfill(self.migration, self.embedder))
            assert audit(self.migration).pending == 0
            check_vectors(self.migration, self.embedder)
            check_no_orphans(self.migration)
            with engine.connect() as connection:
                assert not jobs.are_open(connection, self.migration)
            self.serving.__exit__(None, None, None)

    run_state_machine_as_test(
        Interleaving, settings=settings(max_examples=12, stateful_step_count=12)
    )
    engine.dispose()

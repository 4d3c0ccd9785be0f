"""A table of which most texts are longer than the new model takes, from inspect to the gates."""

from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.errors import SchemaError, SpaceMismatch
from ragkit.migration import ledger, phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.inspection.fidelity import measure_fidelity
from ragkit.migration.migration import Migration
from ragkit.migration.progress import coverage, dead_letters
from ragkit.migration.schema.expansion import expand, keep_old_column_current
from ragkit.retrieval import contract
from ragkit.retrieval.service import SearchService
from tests.conftest import TEXTS, changed, column_of, embedder_of, gates_of, make_plan, make_table
from tests.stand_ins.recording import RecordingEmbedder

ABSTRACTS = [text + f" The abstract of paper {n} goes on and on." * 40
             for n, text in enumerate(TEXTS)]  # fmt: skip
MINILM = {"new.model": "all-minilm-l6-v2"}


@pytest.fixture
def minilm():
    return embedder_of("all-minilm-l6-v2")


@pytest.fixture
def open_as(engine):
    """Opens the migration of the table by what becomes of the new column's long texts."""
    plan = make_plan(MINILM)
    make_table(engine, plan, [*ABSTRACTS, "Short.", "Brief."])
    return lambda way, **more: Migration.open(
        changed(plan, {"new.long_texts": way, **more}), engine
    )


def fill(migration, embedder):
    expand(migration)
    list(run_backfill(migration, embedder))
    with migration.engine.connect() as connection:
        return coverage.count_rows(connection, migration)


def bound_template(migration):
    with migration.engine.connect() as connection:
        bindings = contract.read_bindings(connection, migration.plan.table.qualified_name)
    return {b.column: b.space.template for b in bindings}[migration.plan.new.column]


def test_refused_texts_fail_the_coverage_gate_whatever_the_limit(open_as, minilm):
    migration = open_as("refuse", **{"gates.dead_letters": 100})
    counts = fill(migration, minilm)
    assert (counts.filled, counts.dead_letters) == (2, 6)
    assert bound_template(migration) == "content"  # as in every version before
    gates = gates_of(migration)
    assert gates["dead letters"].passed
    assert gates["coverage"].passed is False
    assert "most rows are set aside: 6 of 8" in gates["coverage"].observed


def test_as_many_refused_as_filled_is_not_most(open_as, minilm):
    migration = open_as("refuse")
    with migration.engine.begin() as connection:
        connection.exec_driver_sql("update \"Amenities\" set content = 'Short' where id < 3")
    counts = fill(migration, minilm)
    assert (counts.filled, counts.dead_letters) == (4, 4)
    assert gates_of(migration)["coverage"].passed


@pytest.mark.parametrize(
    ("way", "template"), [("cut", "content (cut)"), ("pieces", "content (mean of pieces)")]
)
def test_every_row_gets_a_vector_and_the_contract_says_how(open_as, minilm, way, template):
    migration = open_as(way)
    counts = fill(migration, minilm)
    assert (counts.filled, counts.dead_letters, bound_template(migration)) == (8, 0, template)
    vectors = np.stack(list(column_of(migration.engine, migration, "new vector").values()))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    fidelity = measure_fidelity(migration, migration.new_vector, minilm)
    assert (fidelity.rows, fidelity.foreign) == (8, [])
    service = SearchService(migration.engine, minilm, "public.Amenities", ["name"])
    assert service.search("a bar with champagne", 1).rows[0]["name"] == "Bubbles"


def test_the_vectors_that_are_there_stay_when_long_texts_are_taken_later(open_as, minilm):
    fill(open_as("refuse"), minilm)
    recording, later = RecordingEmbedder(minilm), open_as("pieces")
    with pytest.raises(SpaceMismatch, match="run backfill"):
        list(run_backfill(later, minilm))  # as the follower does
    counts = fill(later, recording)
    assert (counts.filled, counts.dead_letters, dead_letters.list_all(later)) == (8, 0, [])
    assert bound_template(later) == "content (mean of pieces)"
    assert "Short." not in recording.texts


def test_what_was_embedded_in_pieces_is_not_taken_for_something_else(open_as, minilm):
    fill(open_as("pieces"), minilm)
    with pytest.raises(SchemaError, match=r"of pieces\)' says: set its long_texts so"):
        open_as("refuse")
    with pytest.raises(SchemaError, match="their vectors do not compare"):
        open_as("cut")


def test_another_model_is_no_matter_of_long_texts(open_as, minilm):
    fill(open_as("refuse"), minilm)
    other = RecordingEmbedder(minilm)
    other.model = replace(minilm.model, name="other")
    with pytest.raises(SpaceMismatch, match="is bound to all-minilm-l6-v2"):
        list(run_backfill(open_as("pieces"), other))


def test_the_way_back_is_that_of_the_old_column(open_as, minilm, old_embedder):
    migration = open_as("pieces")
    fill(migration, minilm)
    migration.record(phases.CUT_OVER)
    keep_old_column_current(migration)
    back = migration.reversed()
    assert (back.plan.new.long_texts, back.plan.old.long_texts) == ("refuse", "pieces")
    assert back.new.space.template == "content"
    with migration.engine.begin() as connection:
        row = {"id": 50, "name": "n", "content": ABSTRACTS[0]}
        connection.execute(sa.insert(migration.table).values(row))
    list(run_backfill(back, old_embedder))
    stored = column_of(migration.engine, migration, "embedding")[50]
    np.testing.assert_allclose(stored, old_embedder.embed_query(ABSTRACTS[0]), atol=1e-6)


def test_the_next_migration_says_how_its_old_column_was_made(open_as, minilm, engine, new_embedder):
    fill(open_as("pieces"), minilm)
    following = {
        "old.model": "all-minilm-l6-v2", "old.column": "new vector", "new.column": "third",
        "new.model": "tests.stand_ins.letters:Letters",
    }  # fmt: skip
    with pytest.raises(SchemaError, match="set its long_texts so"):
        open_as("refuse", **following)
    following["old.long_texts"] = "pieces"
    following_migration = open_as("refuse", **following)
    assert fill(following_migration, new_embedder).filled == 8
    fidelity = measure_fidelity(following_migration, following_migration.old_vector, minilm)
    assert (fidelity.rows, fidelity.foreign) == (8, [])


def test_a_plug_in_knows_what_its_contract_says_too(engine, plan, amenities, new_embedder):
    fill(Migration.open(plan, engine), new_embedder)
    later = Migration.open(changed(plan, {"new.long_texts": "cut"}), engine)
    fill(later, new_embedder)
    assert bound_template(later) == "content (cut)"
    with pytest.raises(SchemaError, match="set its long_texts so"):
        Migration.open(plan, engine)
    with engine.connect() as connection:
        assert ledger.last_event(connection, later.id, "long texts").detail == {
            "template": "content (cut)", "retried": 0,
        }  # fmt: skip

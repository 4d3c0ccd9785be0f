"""On a real table: whose vectors are these?"""

import numpy as np
import pytest

from ragkit.errors import RowRefused
from ragkit.migration.inspection.fidelity import FIDELITY_ROWS, Fidelity, measure_fidelity
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from tests.conftest import TEXTS, make_plan, make_table, set_new, swap_vectors

ROWS = 400


def measure_new(migration, embedder):
    return measure_fidelity(migration, migration.new_vector, embedder)


@pytest.fixture
def many(engine):
    """Texts that have few words in common, so that no two vectors are alike."""
    plan, rng = make_plan(), np.random.default_rng(5)
    words = sorted({word for text in TEXTS for word in text.split()})
    texts = [f"{n} " + " ".join(rng.choice(words, 8)) for n in range(ROWS)]
    make_table(engine, plan, texts)
    return Migration.open(plan, engine)


class TestNewColumn:
    def test_vectors_of_their_texts_pass(self, filled, new_embedder):
        gate = measure_new(filled, new_embedder).new_gate()
        assert (gate.passed, gate.observed) == (True, "lowest cosine 1.000 of 6 rows")

    def test_a_vector_of_another_text_is_found_and_named(self, filled, new_embedder):
        set_new(filled, new_embedder.embed_documents([*TEXTS[:5], "another text"]))
        fidelity = measure_new(filled, new_embedder)
        assert fidelity.new_gate().passed is False
        assert [row.key for row in fidelity.foreign] == ["6"]
        assert f"6 ({fidelity.foreign[0].label}, 0." in fidelity.describe()

    def test_random_vectors_and_zero_vectors_are_found(self, filled, new_embedder):
        set_new(filled, np.random.default_rng(1).normal(size=(6, 64)))
        assert measure_new(filled, new_embedder).new_gate().passed is False
        set_new(filled, np.zeros((6, 64)))
        assert measure_new(filled, new_embedder).new_gate().passed is False

    def test_an_empty_column_does_not_pass(self, migration, new_embedder):
        expand(migration)
        gate = measure_new(migration, new_embedder).new_gate()
        assert (gate.passed, gate.observed) == (False, "no rows")


class TestOldColumn:
    @pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
    def test_the_share_of_foreign_rows_lies_in_the_interval(self, many, old_embedder, share):
        foreign = swap_vectors(many, share)
        fidelity = measure_fidelity(many, many.old_vector, old_embedder)
        assert fidelity.rows == FIDELITY_ROWS
        assert {row.key for row in fidelity.foreign} <= foreign
        low, high = fidelity.share()
        assert low <= len(foreign) / ROWS <= high

    def test_foreign_rows_leave_the_verdict_undecided(self, many, old_embedder):
        swap_vectors(many, 0.5)
        gate = measure_fidelity(many, many.old_vector, old_embedder).old_gate()
        assert gate.passed is None
        assert "of the table: " in gate.observed

    def test_a_model_of_another_dimension_made_none_of_them(self, migration, new_embedder):
        fidelity = measure_fidelity(migration, migration.old_vector, new_embedder)
        assert len(fidelity.foreign) == fidelity.rows == 6

    def test_rows_that_the_model_refuses_are_left_out(self, migration, old_embedder):
        class Picky:
            model = old_embedder.model

            def embed_documents(self, texts):
                if any("Champagne" in text for text in texts):
                    raise RowRefused("no plants")
                return old_embedder.embed_documents(texts)

        refused = sum("Champagne" in text for text in TEXTS)
        fidelity = measure_fidelity(migration, migration.old_vector, Picky())
        assert refused
        assert (fidelity.rows, fidelity.foreign) == (len(TEXTS) - refused, [])


def test_no_rows_decide_nothing():
    nothing = Fidelity(0, 0.0, [])
    assert nothing.old_gate().passed is None
    assert nothing.new_gate().passed is False

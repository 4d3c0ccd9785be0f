import numpy as np

from ragkit.evaluation.fidelity import fidelity_gate
from ragkit.migration.schema.expansion import expand
from tests.conftest import TEXTS, set_new


def test_vectors_of_their_texts_pass(filled, new_embedder):
    gate = fidelity_gate(filled, new_embedder)
    assert (gate.passed, gate.observed) == (True, "lowest cosine 1.000 of 6 rows")


def test_a_vector_of_another_text_is_found(filled, new_embedder):
    vectors = new_embedder.embed_documents([*TEXTS[:5], "another text"])
    set_new(filled, vectors)
    assert fidelity_gate(filled, new_embedder).passed is False


def test_random_vectors_and_zero_vectors_are_found(filled, new_embedder):
    set_new(filled, np.random.default_rng(1).normal(size=(6, 64)))
    assert fidelity_gate(filled, new_embedder).passed is False
    set_new(filled, np.zeros((6, 64)))
    assert fidelity_gate(filled, new_embedder).passed is False


def test_an_empty_column_does_not_pass(migration, new_embedder):
    expand(migration)
    gate = fidelity_gate(migration, new_embedder)
    assert (gate.passed, gate.observed) == (False, "no rows")

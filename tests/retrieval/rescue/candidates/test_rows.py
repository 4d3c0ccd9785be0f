import numpy as np
import pytest

from ragkit.retrieval.rescue.candidates.ranking import distance
from ragkit.retrieval.rescue.candidates.rows import read_candidates
from ragkit.retrieval.rescue.filling import Bought, write
from tests.conftest import TEXTS
from tests.retrieval.rescue.conftest import make_rescue


def test_candidates_come_as_asked_with_what_is_known_of_them(rescued, new_embedder):
    plan, vectors = make_rescue(rescued), new_embedder.embed_documents(TEXTS[1:2])
    write(rescued.engine, rescued.new, plan, Bought(["2"], TEXTS[1:2], vectors))
    question = new_embedder.embed_query("wool")
    with rescued.engine.connect() as connection:
        third, second = read_candidates(
            connection, rescued.new, plan, ["3", "99", "2"], question, ["name", "id"]
        )
    assert (third.key, third.text, third.distance) == ("3", TEXTS[2], None)
    assert (second.key, second.text) == ("2", None)
    assert second.distance == pytest.approx(distance("cosine", question, vectors[0]), abs=1e-5)
    assert second.shown == {"name": "Northlight", "id": 2}


def test_no_key_is_no_row(rescued):
    with rescued.engine.connect() as connection:
        assert read_candidates(
            connection, rescued.new, make_rescue(rescued), [], np.ones(64), ["id"]
        ) == []  # fmt: skip

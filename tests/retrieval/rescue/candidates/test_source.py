"""One question's candidates from a real table, of which a part cannot be searched."""

import numpy as np
import pytest

from ragkit.errors import DatabaseError
from ragkit.retrieval.rescue.candidates.bridge import Bridge
from ragkit.retrieval.rescue.candidates.bridged import Bridges
from ragkit.retrieval.rescue.candidates.source import CandidateSource
from tests.conftest import TEXTS
from tests.retrieval.rescue.conftest import make_rescue

BRIDGE = Bridge("ridge", 9, np.eye(64, 256, dtype=np.float32))


@pytest.fixture
def source(rescued):
    def source(old=True, **changes):
        plan = make_rescue(rescued, **changes)
        of_old = rescued.old if old else None
        return CandidateSource(
            rescued.engine, Bridges(), rescued.new, plan, of_old, ["name"], wanted=4
        )

    return source


def test_words_find_keys_with_the_texts_that_have_no_vector(source):
    assert source().find_by_words("wool or fish") == {"1": TEXTS[0], "2": TEXTS[1]}


def test_a_search_that_fails_is_left_out(source):
    broken = source(language="nonsense")
    assert broken.find_by_words("wool") is None
    near = broken.find_by_bridge(BRIDGE, np.ones(64, np.float32))
    assert len(near) == 4
    rows = broken.read([None, near], np.ones(64, np.float32))
    assert [row.key for row in rows] == near


@pytest.mark.parametrize(
    ("old", "bridge", "vector"),
    [(False, BRIDGE, np.ones(64)), (True, None, np.ones(64)), (True, BRIDGE, np.zeros(64))],
)
def test_without_a_bridge_or_a_usable_vector_nothing_is_found_by_it(source, old, bridge, vector):
    assert source(old=old).find_by_bridge(bridge, vector) is None


def test_a_plan_without_a_bridge_has_none(source):
    assert source().find_bridge() is None


def test_where_everything_fails_there_is_an_error(source):
    lost = source(key="no such column")
    with pytest.raises(DatabaseError, match="neither the full text nor the vectors"):
        lost.read([None, None], np.ones(64, np.float32))


def test_rows_without_a_question_are_in_the_order_of_their_keys(source):
    rows = source().read_rows(["3", "1", "99"], None)
    assert [row.shown["name"] for row in rows] == ["Quiet Room", "Harbour Grill"]

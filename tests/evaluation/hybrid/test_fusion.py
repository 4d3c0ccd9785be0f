import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.evaluation.hybrid.fusion import fuse, fuse_all
from ragkit.retrieval.rescue.candidates.ranking import fuse as fuse_equally

ROWS = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(ROWS, ROWS)
def test_the_ends_are_one_list_alone_and_the_middle_is_the_plain_fusion(vectors, words):
    assert fuse(vectors, words, 0.0, 8) == vectors
    assert fuse(vectors, words, 1.0, 8) == words
    assert fuse(vectors, words, 0.5, 8) == fuse_equally([vectors, words])


@pytest.mark.parametrize(("weight", "first"), [(0.2, "a"), (0.8, "b")])
def test_the_heavier_list_decides(weight, first):
    assert fuse(["a", "b"], ["b", "a"], weight, 1) == [first]


def test_a_question_without_words_keeps_its_vectors():
    assert fuse_all({"q1": ["a", "b"], "q2": ["c"]}, {"q2": ["d"]}, 0.4, 2) == {
        "q1": ["a", "b"], "q2": ["c", "d"],
    }  # fmt: skip

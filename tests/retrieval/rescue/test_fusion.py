from hypothesis import given
from hypothesis import strategies as st

from ragkit.retrieval.rescue.fusion import fuse

ranked = st.lists(st.sampled_from("abcdefgh"), unique=True)


def test_what_both_lists_have_comes_first():
    assert fuse([["a", "b", "c"], ["d", "b"]])[0] == "b"


def test_a_tie_is_as_in_the_first_list():
    assert fuse([["a", "b"], ["c", "d"]]) == ["a", "c", "b", "d"]


@given(st.lists(ranked, max_size=3))
def test_every_row_is_there_once(lists):
    assert sorted(fuse(lists)) == sorted({key for each in lists for key in each})


@given(ranked)
def test_one_list_keeps_its_order(keys):
    assert fuse([keys]) == fuse([keys, keys]) == keys

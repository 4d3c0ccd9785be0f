import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.retrieval.rescue.candidates.ranking import distance, fuse, rank
from ragkit.retrieval.rescue.candidates.rows import Candidate
from ragkit.retrieval.search import DISTANCES
from ragkit.retrieval.space import Binding, Space


@given(
    st.lists(st.one_of(st.none(), st.floats(0, 2)), max_size=8),
    st.one_of(st.none(), st.floats(0, 2)),
)
def test_nearer_rows_come_first_and_none_is_lost_or_beyond_the_cutoff(distances, cutoff):
    binding = Binding("t", "c", Space("m", None, 2, "content"), cutoff=cutoff)
    candidates = [Candidate(str(n), None, each, {}) for n, each in enumerate(distances)]
    ranked = rank(candidates, np.ones(2), {}, binding)
    known = [c.distance for c in ranked if c.distance is not None]
    limit = 2.0 if cutoff is None else cutoff
    assert known == sorted(d for d in distances if d is not None and d <= limit)
    unknown = [c for c in ranked if c.distance is None]
    assert len(unknown) == (0 if cutoff is not None else distances.count(None))
    assert ranked == [c for c in ranked if c.distance is not None] + unknown


@pytest.mark.parametrize("kind", DISTANCES)
def test_distances_are_those_of_pgvector(engine, kind):
    a, b = np.random.default_rng(5).normal(size=(2, 8)).astype(np.float32)
    operator = DISTANCES[kind]
    with engine.connect() as connection:
        expected = connection.exec_driver_sql(
            f"select '{a.tolist()}'::vector {operator} '{b.tolist()}'::vector"
        ).scalar()
    assert distance(kind, a, b) == pytest.approx(expected, abs=1e-5)


key_lists = st.lists(st.sampled_from("abcdefgh"), unique=True)


def test_what_both_lists_have_comes_first():
    assert fuse([["a", "b", "c"], ["d", "b"]])[0] == "b"


def test_a_tie_is_as_in_the_first_list():
    assert fuse([["a", "b"], ["c", "d"]]) == ["a", "c", "b", "d"]


@given(st.lists(key_lists, max_size=3))
def test_every_row_is_there_once(lists):
    assert sorted(fuse(lists)) == sorted({key for each in lists for key in each})


@given(key_lists)
def test_one_list_keeps_its_order(keys):
    assert fuse([keys]) == fuse([keys, keys]) == keys

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ragkit.contract import Space
from ragkit.models import find

SPACE = Space.of(find("text-embedding-005"), "content")
spaces = st.builds(
    Space,
    st.text(max_size=5),
    st.none() | st.text(max_size=5),
    st.integers(1, 4000),
    st.text(max_size=5),
)


@given(spaces, spaces)
def test_fingerprints_agree_exactly_when_spaces_do(one, other):
    assert (one.fingerprint == other.fingerprint) == (one == other)


def test_every_part_of_a_space_counts():
    others = [
        replace(SPACE, model="x"),
        replace(SPACE, task_type=None),
        replace(SPACE, dimension=767),
        replace(SPACE, template="name"),
    ]
    assert len({space.fingerprint for space in [SPACE, *others]}) == 5


def test_a_fingerprint_is_stable_over_releases():
    assert SPACE.fingerprint == "fb450782df293de4"

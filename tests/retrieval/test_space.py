from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ragkit.embedding.catalogue import Model, find_model
from ragkit.retrieval.space import LONG_TEXTS, Space

SPACE = Space.of(find_model("text-embedding-005"), "content")
SPACES = st.builds(
    Space,
    st.text(max_size=5),
    st.none() | st.text(max_size=5),
    st.integers(1, 4000),
    st.text(max_size=5),
)


@given(SPACES, SPACES)
def test_two_fingerprints_are_equal_exactly_when_the_spaces_are(one, other):
    assert (one.fingerprint == other.fingerprint) == (one == other)


def test_every_field_of_a_space_changes_its_fingerprint():
    others = [
        replace(SPACE, model="x"),
        replace(SPACE, task_type=None),
        replace(SPACE, dimension=767),
        replace(SPACE, template="name"),
    ]
    assert len({space.fingerprint for space in [SPACE, *others]}) == 5


def test_a_fingerprint_is_the_same_in_every_release():
    assert SPACE.fingerprint == "fb450782df293de4"


def test_a_plug_in_is_known_by_what_it_calls_and_by_its_import_path():
    model = Model("app.models:small", "plugin", 8, behind="app.Client(small)")
    space = Space.of(model, "content")
    assert space.model == "app.Client(small)"
    assert space.is_of(model)
    assert replace(space, model="app.models:small").is_of(model)
    assert not space.is_of(replace(model, behind="app.Client(large)"))
    assert not space.is_of(replace(model, dimension=9))


def test_a_space_that_takes_long_texts_only_adds_to_the_one_that_refuses_them():
    cut, pieces = (replace(SPACE, template="content" + LONG_TEXTS[w]) for w in ("cut", "pieces"))
    assert cut.only_adds_to(SPACE)
    assert pieces.only_adds_to(SPACE)
    for one, other in [(SPACE, SPACE), (SPACE, cut), (cut, pieces), (cut, cut)]:
        assert not one.only_adds_to(other)
    assert not replace(cut, dimension=9).only_adds_to(SPACE)
    assert not replace(cut, template="name (cut)").only_adds_to(SPACE)

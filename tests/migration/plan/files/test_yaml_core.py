import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ragkit.migration.plan.files.yaml_core import dump_yaml, load_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("true", True), ("False", False), ("~", None), ("", None),
        ("12", 12), ("-3", -3), ("0o17", 15), ("0x1F", 31), ("017", 17), ("12:30", "12:30"),
        ("1e-3", 0.001), ("1.", 1.0), (".5", 0.5), ("1_000", "1_000"), (".inf", math.inf),
        ("2026-11-25", "2026-11-25"), ("'12'", "12"), ("[1, no]", [1, "no"]), ("a: 1", {"a": 1}),
    ],
)  # fmt: skip
def test_a_scalar_has_the_type_of_the_core_schema(text, value):
    result = load_yaml(text)
    assert (result, type(result)) == (value, type(value))


def test_a_repeated_key_is_refused_with_both_lines():
    with pytest.raises(yaml.YAMLError, match="'a' is there twice, in lines 1 and 3"):
        load_yaml("a: 1\nb: 2\na: 3\n")


@pytest.mark.parametrize("text", ["{{ name }}: 1", "a: !!python/object:os.system {}", "a: [", "@"])
def test_anything_else_is_a_yaml_error(text):
    with pytest.raises(yaml.YAMLError):
        load_yaml(text)


SCALARS = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Cc"))),
    st.from_regex(r"[-+.0-9eExXoO_:]{1,6}", fullmatch=True),
    st.sampled_from(["no", "on", "null", "~", "1e3", "0o17", "2026-11-25", "true", "12:30"]),
    st.booleans(), st.integers(), st.floats(allow_nan=False),
)  # fmt: skip


@given(st.dictionaries(st.text("abc", min_size=1), SCALARS | st.lists(SCALARS)))
def test_what_is_dumped_is_loaded_again(values):
    loaded = load_yaml(dump_yaml(values))
    assert loaded == values
    assert str(loaded) == str(values)

import pytest

from ragkit.errors import PlanError
from ragkit.migration.plan.files.load import apply_overrides, read_sections

TEXTS = {"database.url", "gates.override", "index.type"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("table: [", "not YAML: .* in line 1"),
        ("gates:\n  margin: 0\n  margin: 1\n", "'margin' is there twice, in lines 2 and 3"),
        ("- a\n- b\n", "must hold sections"),
    ],
)
def test_a_file_without_sections_is_refused(tmp_path, text, message):
    file = tmp_path / "p.yaml"
    file.write_text(text)
    with pytest.raises(PlanError, match=message):
        read_sections(file)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(PlanError, match="there is no file"):
        read_sections(tmp_path / "none.yaml")
    with pytest.raises(PlanError, match="cannot read"):
        read_sections(tmp_path)


def test_overrides_do_not_change_the_given_sections():
    sections = {"gates": {"margin": 0.1}}
    merged, faults = apply_overrides(sections, ["gates.margin=0.2", "index.type=none"], TEXTS)
    assert merged == {"gates": {"margin": 0.2}, "index": {"type": "none"}}
    assert sections == {"gates": {"margin": 0.1}}
    assert faults == []


def test_a_value_may_contain_an_equals_sign_and_a_dot():
    merged, _ = apply_overrides({}, ["database.url=postgresql://u@h/d?a=b.c"], TEXTS)
    assert merged == {"database": {"url": "postgresql://u@h/d?a=b.c"}}


def test_what_is_commented_out_has_its_default():
    sections = {"gates": None, "table": {"label": None, "name": "docs"}}
    merged, faults = apply_overrides(sections, ["gates.margin=0.2"], TEXTS)
    assert merged == {"gates": {"margin": 0.2}, "table": {"name": "docs"}}
    assert faults == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("approved by Ana: see #12", "approved by Ana: see #12"),
        ("no", "no"),
        ("2026-11-25", "2026-11-25"),
        ("'no'", "no"),
        ('"a: b"', "a: b"),
        ("it's", "it's"),
        ("", ""),
    ],
)
def test_a_text_is_taken_as_it_is(text, value):
    merged, faults = apply_overrides({}, [f" gates . override = {text} "], TEXTS)
    assert (merged, faults) == ({"gates": {"override": value}}, [])


@pytest.mark.parametrize(
    "override", ["postgresql://u:canary@h/d", "postgresql://u:canary@h/d=x", "gates.margin=[canary"]
)
def test_a_fault_repeats_no_value(override):
    _, faults = apply_overrides({}, [override], TEXTS)
    assert len(faults) == 1
    assert "canary" not in faults[0]

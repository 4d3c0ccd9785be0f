import pytest

from ragkit.errors import ConfigError
from ragkit.migration.plan import Plan
from ragkit.migration.plan.files.reference import BEGIN, END, insert_reference, reference
from ragkit.migration.plan.section import fields
from tests.conftest import ROOT


def test_the_reference_describes_every_field():
    text = reference()
    for path, _ in fields(Plan):
        section, _, field = path.partition(".")
        part = text.split(f"### `{section}`")[1].split("###")[0]
        assert f"| `{field}` |" in part
    assert "| None |" not in text


def test_the_documentation_contains_the_reference():
    assert reference() in (ROOT / "docs" / "reference.md").read_text()


def test_the_reference_replaces_the_text_between_the_marks():
    page = insert_reference(f"# Page\n{BEGIN}stale text\n{END}\nmore\n")
    assert page == insert_reference(page)
    assert reference() in page
    assert "stale text" not in page
    with pytest.raises(ConfigError, match="has no marks"):
        insert_reference("# Page\n")

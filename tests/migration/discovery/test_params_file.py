from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.errors import ConfigError
from ragkit.migration.discovery.params_file import render, write
from ragkit.migration.discovery.proposal import Proposal
from ragkit.migration.plan import Plan
from ragkit.migration.plan.files.yaml_core import load_yaml

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)


def proposal(name="documents", notes=()):
    return Proposal(
        {
            "database": {"url": "env", "expect": "shop at db:5432"},
            "table": {"schema": "public", "name": name, "key": "id", "content": name, "label": ""},
            "old": {"model": "unknown/8", "column": "v"},
            "new": {"model": "wordllama-64", "column": "w"},
            "app": {"url": ""},
        },
        {},
        list(notes),
    )


def test_it_is_a_plan_with_comments_and_without_empty_fields(tmp_path):
    text = render(proposal(notes=["public.documents.v (8 dimensions)"]), date(2026, 11, 25))
    path = write(tmp_path / "new folder" / "documents.yaml", text)
    plan = Plan.from_file(path)
    assert (plan.table.name, plan.old.model, plan.app.url) == ("documents", "unknown/8", "")
    assert text.startswith("# Written by `ragkit init` on 2026-11-25")
    assert "# public.documents.v (8 dimensions)\n" in text
    assert "label:" not in text and "app:" not in text
    fields = [line for line in text.splitlines() if line.startswith("  ")]
    assert all("  # " in line for line in fields)


@given(NAMES, NAMES)
def test_any_name_survives_and_no_note_becomes_more_than_a_comment(name, note):
    read = load_yaml(render(proposal(name, [note]), date(2026, 11, 25)))
    assert read["table"]["name"] == name
    assert set(read) == {"database", "table", "old", "new"}


def test_an_existing_file_is_kept_unless_it_may_be_replaced(tmp_path):
    path = write(tmp_path / "mine.yaml", "first")
    with pytest.raises(ConfigError, match="exists: name another file with --output"):
        write(path, "second")
    assert path.read_text() == "first"
    assert write(path, "second", replace=True).read_text() == "second"
    assert list(tmp_path.iterdir()) == [path]

import pytest

from ragkit.migration.discovery.presets.recognition import PRESETS, find_preset, find_signs
from ragkit.migration.discovery.shape import TextColumn, read_texts, recognise
from ragkit.migration.discovery.tables import find_tables
from tests.conftest import TEXTS
from tests.migration.discovery.conftest import IN_JSON, TABLES

CONTENT = {
    "mem0": "(payload->>'data')", "vecs": "(metadata->>'content')", "": "long text",
    "Django": "body",
}  # fmt: skip


def shape_of(engine):
    (table,) = find_tables(engine)
    preset = find_preset(table, find_signs(engine))
    return recognise(table, read_texts(engine, table, preset), preset)


@pytest.mark.parametrize("framework", [*TABLES, *IN_JSON])
def test_the_text_of_a_framework_is_known_by_its_name(engine, make, framework):
    make(framework)
    preset = next((p for p in PRESETS if p.name == framework), None)
    expected = CONTENT.get(framework) or preset.content
    assert shape_of(engine).contents[0].name == expected


def test_label_and_category_are_told_by_name_and_by_what_they_hold(engine, make):
    make("", TEXTS * 3)
    shape = shape_of(engine)
    assert (shape.label, shape.category) == ("title", "department")


def test_texts_are_summarised_by_what_a_sample_holds(engine, run):
    run("create table t (id int primary key, body text, note text, v vector(8))",
        "insert into t select n, 'text ' || n, case when n = 1 then 'x' else ' ' end "
        "from generate_series(1, 4) n")  # fmt: skip
    (table,) = find_tables(engine)
    assert read_texts(engine, table) == [
        TextColumn("body", filled=1.0, length=6.0, distinct=4),
        TextColumn("note", filled=0.25, length=1.0, distinct=1),
    ]


def test_the_longest_text_is_taken_where_no_name_tells_and_a_key_is_no_label(engine, run):
    run("create table t (code text primary key, a text, b text, v vector(8))",
        "insert into t select 'code ' || n, 'a' || n, repeat('long text ', 9) || n "
        "from generate_series(1, 99) n")  # fmt: skip
    shape = shape_of(engine)
    assert [text.name for text in shape.contents][:1] == ["b"]
    assert (shape.label, shape.category) == ("a", "")


def test_an_empty_table_has_texts_that_hold_nothing(engine, run):
    run("create table t (id int primary key, body text, v vector(8))")
    (table,) = find_tables(engine)
    assert read_texts(engine, table) == [TextColumn("body", 0.0, 0.0, 0)]
    run("drop table t", "create table t (id int primary key, v vector(8))")
    (table,) = find_tables(engine)
    assert read_texts(engine, table) == []

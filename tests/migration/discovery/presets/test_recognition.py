"""Which framework made a table, told by the table itself; what is not migrated says what to do."""

import pytest

from ragkit.errors import SchemaError
from ragkit.migration.discovery.presets.recognition import PRESETS, find_preset, find_signs
from ragkit.migration.discovery.tables import find_tables
from tests.migration.discovery.conftest import IN_JSON, TABLES


def preset_of(engine):
    (table,) = find_tables(engine)
    return find_preset(table, find_signs(engine))


@pytest.mark.parametrize("framework", [*TABLES, *IN_JSON])
def test_a_framework_is_known_by_its_table(engine, make, framework):
    make(framework)
    preset = preset_of(engine)
    assert (preset.name if preset else "") == framework


def test_every_preset_is_tested():
    made = {*TABLES, *IN_JSON}
    refused = {preset.name for preset in PRESETS if preset.refused}
    assert {preset.name for preset in PRESETS} - refused - {"the Jump Start Solution"} <= made


def test_every_line_can_be_filled_in():
    for preset in PRESETS:
        for line in preset.lines:
            assert "{" not in line.format(schema="s", column="c", dimension=8).replace("{ s", "")
        assert preset.content or preset.json or preset.sign or preset.refused


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("id bigint, text varchar, metadata_ json, doc_id varchar, embedding vector(8)",
         "ALTER TABLE public.t RENAME COLUMN doc_id TO node_id"),
        ("id text, vector vector(8), collection_name text, text bytea, vmetadata bytea",
         r"encrypted \(PGVECTOR_PGCRYPTO\).*let Open WebUI index them again"),
    ],
)  # fmt: skip
def test_a_version_that_is_refused_says_what_to_do(engine, run, columns, message):
    run(f"create table t ({columns}, primary key (id))")
    with pytest.raises(SchemaError, match=message):
        preset_of(engine)


def test_the_same_columns_with_other_types_are_another_framework_s(engine, make, run):
    make("Spring AI")
    run("alter table vector_store alter metadata type jsonb using metadata::jsonb")
    assert preset_of(engine) is None
    run("create function match_documents() returns int language sql as 'select 1'")
    assert preset_of(engine).name == "Supabase"

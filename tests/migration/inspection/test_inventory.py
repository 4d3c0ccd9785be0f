from ragkit.migration.inspection.inventory import indexes, text_statistics, vector_columns
from ragkit.migration.migration import Migration
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from tests.conftest import changed


def test_a_vector_column_is_counted_with_its_flaws(flawed):
    (column,) = vector_columns(flawed)
    assert (column.table, column.column, column.dimension) == ("public.Amenities", "embedding", 256)
    assert (column.rows, column.nulls, column.zero, column.not_unit) == (9, 1, 1, 1)
    assert column.duplicates == 1  # rows 4 and 5
    assert column.model == "no contract"


def test_after_expand_the_contract_names_the_models(flawed):
    expand(flawed)
    assert [(column.column, column.model) for column in vector_columns(flawed)] == [
        ("embedding", "wordllama-256"),
        ("new vector", "tests.Letters"),
    ]


def test_indexes_are_listed_with_their_validity(filled):
    built = index.build(filled)
    listed = {item.name: item for item in indexes(filled)}
    assert listed[f'"{built.name}"'].valid is True
    assert "hnsw" in listed[f'"{built.name}"'].definition
    assert listed['"Amenities_pkey"'].bytes > 0


def test_texts_are_counted_with_those_above_the_models_limit(flawed, plan, engine):
    statistics = text_statistics(flawed)
    assert (statistics.rows, statistics.null, statistics.blank) == (9, 1, 1)
    assert statistics.longest == 1500
    assert statistics.too_long == 0  # the plug-in names no limit
    limited = Migration.open(changed(plan, {"new.model": "all-minilm-l6-v2"}), engine)
    assert text_statistics(limited).too_long == 1

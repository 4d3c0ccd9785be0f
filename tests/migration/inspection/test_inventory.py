from ragkit.migration.inspection.inventory import indexes, text_statistics, vector_columns
from ragkit.migration.migration import Migration
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from tests.conftest import changed, embedder_of

MINILM = "all-minilm-l6-v2"


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


def test_texts_are_counted_with_those_above_the_models_limit(flawed, plan, engine, new_embedder):
    statistics = text_statistics(flawed, new_embedder)
    assert (statistics.rows, statistics.null, statistics.blank) == (9, 1, 1)
    assert statistics.longest == 1500
    assert statistics.too_long == 0  # the plug-in names no limit
    limited = Migration.open(changed(plan, {"new.model": MINILM}), engine)
    counted = text_statistics(limited, embedder_of(MINILM))
    assert (counted.too_long, counted.counted_by) == (1, "the model's tokenizer")


def test_rows_with_the_text_of_another_row_are_counted(migration, new_embedder):
    assert text_statistics(migration, new_embedder).duplicates == 0
    with migration.engine.begin() as connection:
        run = connection.exec_driver_sql
        run("update \"Amenities\" set content = 'One' where id in (1, 2)")
        run("update \"Amenities\" set content = 'Two' where id in (3, 4, 5)")
        run("insert into \"Amenities\" (id, content) values (7, ''), (8, ''), (9, null)")
    assert text_statistics(migration, new_embedder).duplicates == 5

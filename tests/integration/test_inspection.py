import pytest

from ragkit.migration import backfill, cost, index, inspection, schema
from ragkit.migration.plan import Plan
from ragkit.migration.status import status
from ragkit.migration.subject import Migration
from tests.conftest import TEXTS, make_table


@pytest.fixture
def odd(engine, plan) -> Migration:
    """A zero vector, one of another length, a NULL, a duplicate; NULL, blank and long texts."""
    make_table(engine, plan, [*TEXTS, None, "   ", "long " * 300])
    with engine.begin() as connection:
        run = connection.exec_driver_sql
        run('update "Amenities" set embedding = array_fill(0, array[256])::vector where id = 1')
        run('update "Amenities" set embedding = array_fill(1, array[256])::vector where id = 2')
        run('update "Amenities" set embedding = null where id = 3')
        run('update "Amenities" a set embedding = b.embedding from "Amenities" b '
            "where a.id = 4 and b.id = 5")  # fmt: skip
    return Migration.open(plan, engine)


def test_vector_columns(odd):
    (found,) = inspection.vector_columns(odd)
    assert (found.table, found.column, found.dimension) == ("public.Amenities", "embedding", 256)
    assert (found.rows, found.nulls, found.zero, found.not_unit) == (9, 1, 1, 1)
    assert found.duplicates == 1  # rows 4 and 5
    assert found.model == "no contract"


def test_after_expand_the_contract_names_the_models(odd):
    schema.expand(odd)
    assert [(c.column, c.model) for c in inspection.vector_columns(odd)] == [
        ("embedding", "wordllama-256"),
        ("new vector", odd.plan.new_model),
    ]


def test_indexes_with_their_validity(migration, new_embedder):
    schema.expand(migration)
    list(backfill.fill(migration, new_embedder))
    built = index.build(migration)
    found = {i.name: i for i in inspection.indexes(migration)}
    assert found[f'"{built.name}"'].valid is True
    assert "hnsw" in found[f'"{built.name}"'].definition
    assert found['"Amenities_pkey"'].bytes > 0


def test_texts(odd, plan, engine):
    found = inspection.texts(odd)
    assert (found.rows, found.null, found.blank, found.longest) == (9, 1, 1, 1500)
    assert found.too_long == 0  # the plug-in names no limit
    limited = Migration.open(Plan(**plan.model_dump() | {"new_model": "all-minilm-l6-v2"}), engine)
    assert inspection.texts(limited).too_long == 1


def test_cost_counts_what_is_pending(odd, new_embedder):
    before = cost.estimate(odd, new_embedder)
    assert (before.rows, before.requests) == (7, 1)
    assert before.tokens == -(-sum(map(len, [*TEXTS, "long " * 300])) // 4)
    schema.expand(odd)
    list(backfill.fill(odd, new_embedder))
    assert cost.estimate(odd, new_embedder).rows == 0


def test_status_follows_the_phases(migration, new_embedder):
    first = status(migration, None)
    assert (first.phase, first.done, first.total, first.serving) == ("planned", 0, 6, None)
    schema.expand(migration)
    assert status(migration, "m").phase == "expanded"
    list(backfill.fill(migration, new_embedder))
    last = status(migration, "m")
    assert (last.phase, last.done, last.serving) == ("backfilled", 6, "m")
    assert "notebook 03" in last.next_step

"""Half a migration made by hand: the new column is there, with vectors in it."""

import numpy as np
import pytest

from ragkit.errors import SchemaError, SpaceMismatch
from ragkit.migration import ledger
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from tests.conftest import TEXTS, changed, column_of, set_new


@pytest.fixture
def begun(engine, plan, amenities, new_embedder):
    """The new column with the vectors of the first four rows."""
    with engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" add column "new vector" vector(64)')
    migration = Migration.open(changed(plan, {"new.adopt": True}), engine)
    set_new(migration, new_embedder.embed_documents(TEXTS[:4]))
    return migration


def test_without_the_plans_word_they_are_refused_and_the_way_is_told(begun, plan, engine):
    with pytest.raises(SchemaError, match=r"or set new\.adopt: true"):
        Migration.open(plan, engine)


def test_vectors_of_the_new_model_are_kept_and_the_others_are_filled(begun, new_embedder, engine):
    before = column_of(engine, begun, "new vector")
    assert expand(begun, new_embedder) is True
    steps = list(run_backfill(begun, new_embedder))
    assert (steps[0].done, steps[-1].done) == (4, len(TEXTS))
    after = column_of(engine, begun, "new vector")
    assert all(np.array_equal(after[n], before[n]) for n in range(1, 5))
    with engine.connect() as connection:
        event = ledger.last_event(connection, begun.id, "adopted")
    assert (event.detail["vectors"], event.detail["checked"]) == (4, 4)


def test_a_foreign_one_refuses_all_and_changes_nothing(begun, new_embedder, engine):
    set_new(begun, new_embedder.embed_documents([*TEXTS[:3], "something else"]))
    with pytest.raises(SpaceMismatch, match=r"1 of 4 .* 4 \(.*set them to NULL") as error:
        expand(begun, new_embedder)
    assert 'UPDATE public."Amenities" SET "new vector" = NULL' in str(error.value)
    with engine.connect() as connection:
        assert not ledger.exists(connection)


def test_without_the_model_nothing_is_adopted(begun):
    with pytest.raises(SpaceMismatch, match="needs the new model"):
        expand(begun)


def test_vectors_without_a_text_cannot_be_checked_and_are_refused(begun, new_embedder, engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("update \"Amenities\" set content = ' '")
    with pytest.raises(SpaceMismatch, match="no rows"):
        expand(begun, new_embedder)

from collections import Counter

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from ragkit.embedding.catalogue import CHARACTERS_PER_TOKEN, find_model
from ragkit.embedding.requests import SAFETY
from ragkit.migration.backfill.reading.batches import (
    Portion,
    RequestLimits,
    queue_batches,
    sweep_batches,
)
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work import sweep
from ragkit.migration.work.rows import Place
from ragkit.migration.work.tables import CLAIM, QUEUE
from ragkit.migration.work.workers import working

LIMITS = RequestLimits(texts=4, bytes=10_000)


@given(st.lists(st.integers(1, 50)), st.integers(1, 7), st.integers(1, 90))
def test_places_are_cut_into_requests_within_the_limits(sizes, texts, size):
    found = [Place(f"({n},1)", length) for n, length in enumerate(sizes)]
    parts = list(RequestLimits(texts, size).cut(found))
    assert [place for part in parts for place in part] == found
    for part in parts:
        assert 1 <= len(part) <= texts
        assert len(part) == 1 or sum(place.size for place in part) <= size


def test_the_limits_are_the_models_and_a_smaller_batch_size():
    model = find_model("text-embedding-005")
    whole = RequestLimits.of(model, 0)
    assert (whole.texts, whole.bytes) == (250, int(20_000 * CHARACTERS_PER_TOKEN / SAFETY))
    assert RequestLimits.of(model, 64).texts == 64
    assert RequestLimits.of(model, 10_000).texts == 250
    assert RequestLimits.of(find_model("gemini-embedding-001"), 0).texts == 1


def test_a_portion_is_finished_when_its_last_row_is_done():
    finished = []
    portion = Portion(3, lambda: finished.append(True))
    portion.settle(0)
    portion.settle(2)
    assert finished == []
    portion.settle(1)
    assert finished == [True]


@pytest.fixture
def expanded(migration):
    expand(migration)
    sweep.begin(migration)
    return migration


def count(migration, table):
    with migration.engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table))


def test_a_range_stays_claimed_until_its_rows_are_done(expanded):
    with working(expanded.engine, "backfill") as worker:
        batches = list(sweep_batches(expanded, worker, LIMITS))
        assert Counter(row.key for batch in batches for row in batch.rows) == Counter("123456")
        assert count(expanded, CLAIM) == 1
        for batch in batches:
            batch.portion.settle(len(batch.rows) + batch.gone)
    assert count(expanded, CLAIM) == 0


def test_rows_that_need_nothing_any_more_are_done_at_once(expanded):
    with expanded.engine.begin() as connection:
        connection.exec_driver_sql('delete from "Amenities" where id > 2')
        row = {"id": 100, "name": "n", "content": " "}
        connection.execute(sa.insert(expanded.table).values(row))
    with working(expanded.engine, "backfill") as worker:
        (batch,) = sweep_batches(expanded, worker, LIMITS)
        assert (len(batch.rows), batch.gone, batch.portion.open) == (2, 1, 3)


def test_a_key_stays_in_the_queue_until_its_row_is_done(expanded):
    with expanded.engine.begin() as connection:
        connection.exec_driver_sql('update "Amenities" set name = name where id < 4')
        connection.exec_driver_sql('update "Amenities" set name = name where id = 1')
    with working(expanded.engine, "backfill") as worker:
        batches = list(queue_batches(expanded, worker, 10**9, LIMITS))
        assert sorted(row.key for batch in batches for row in batch.rows) == ["1", "2", "3"]
        assert count(expanded, QUEUE) == 4
        for batch in batches:
            batch.portion.settle(len(batch.rows))
    assert count(expanded, QUEUE) == 0


def test_keys_without_a_pending_row_leave_the_queue_at_once(expanded):
    with expanded.engine.begin() as connection:
        connection.exec_driver_sql('update "Amenities" set name = name')
        connection.exec_driver_sql('delete from "Amenities"')
    with working(expanded.engine, "backfill") as worker:
        assert list(queue_batches(expanded, worker, 10**9, LIMITS)) == []
    assert count(expanded, QUEUE) == 0

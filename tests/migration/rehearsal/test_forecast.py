"""How a forecast is made of what was measured."""

from dataclasses import replace
from math import log

import pytest

from ragkit.migration.backfill.model_calls.quota import Quota
from ragkit.migration.rehearsal.forecast import BY_QUOTA, BY_RATE, Measured, explain, extrapolate
from ragkit.migration.rehearsal.sample import Sample
from tests.conftest import with_plan

SAMPLE = Sample(rows=1_000, total_rows=100_000, judged_rows=0, blocks=True)
MEASURED = Measured(
    rows=900, dead_letters=3, rows_per_second=50.0, once_seconds=10.0, requests=9, tokens=45_000,
    usd=0.0045, table_bytes=3_000_000, index_seconds=2.0, index_bytes=900_000,
)  # fmt: skip
UNLIMITED = Quota(None, None)


def forecast(quota=UNLIMITED, **changes):
    return extrapolate(replace(MEASURED, **changes), SAMPLE, quota, fits=True)


def test_rows_money_and_bytes_are_in_proportion():
    found = forecast()
    assert (found.rows, found.dead_letters, found.requests) == (90_000, 300, 900)
    assert found.usd == pytest.approx(0.45)
    assert (found.table_bytes, found.index_bytes) == (300_000_000, 90_000_000)


def test_what_a_backfill_takes_once_does_not_grow():
    assert forecast().backfill_minutes == pytest.approx((10 + 90_000 / 50) / 60, abs=0.001)
    assert forecast().limited_by == BY_RATE


def test_an_index_takes_more_than_in_proportion():
    grown = 90_000 * log(90_000) / (900 * log(900))
    assert forecast().index_minutes == pytest.approx(2 * grown / 60, abs=0.001)
    assert grown > 100


@pytest.mark.parametrize("quota", [Quota(6, None), Quota(None, 30_000)])
def test_a_quota_counts_where_it_takes_longer(quota):
    found = forecast(quota)
    assert found.limited_by == BY_QUOTA
    assert found.backfill_minutes == pytest.approx(150)


def test_without_a_row_or_an_index_nothing_is_foretold_of_them():
    found = forecast(rows=0, rows_per_second=0.0, index_bytes=0, index_seconds=0.0)
    assert (found.rows, found.index_minutes, found.index_bytes) == (0, 0, 0)
    assert forecast(rows=1).index_minutes == 0


def test_what_the_real_run_has_besides_is_said(migration):
    said = " ".join(explain(migration, SAMPLE, replace(forecast(), index_fits=False)))
    assert "100,000 to 1,000 rows" in said
    assert BY_RATE in said
    assert "index.memory_mb" in said
    assert "table.where" not in said
    filtered = with_plan(migration, {"table.where": "id > 3"})
    assert "table.where" in explain(filtered, SAMPLE, forecast())[-1]

"""Which rows are a sample, and how many must be there."""

import pytest

from ragkit.errors import ConfigError
from ragkit.migration.rehearsal import sample
from tests.migration.rehearsal.conftest import ROWS


def test_enough_blocks_are_a_sample_of_their_own(pages):
    assert sample.is_by_blocks(pages, 0.5)
    assert not sample.is_by_blocks(pages, 0.01)


def test_of_a_large_table_no_more_is_read_than_is_copied(pages, monkeypatch):
    monkeypatch.setattr(sample, "MAX_READ", ROWS // 2)
    assert sample.is_by_blocks(pages, 0.01)


def test_chance_may_leave_too_few_rows():
    few = sample.Sample(rows=90, total_rows=10_000, judged_rows=0, blocks=True)
    assert sample.require_rows(few, 1.0) is few
    with pytest.raises(ConfigError, match="has 90 rows by chance, expected about 300"):
        sample.require_rows(few, 0.03)


def test_an_empty_table_and_a_small_share_are_refused(engine, pages):
    assert sample.require_enough(pages, 0.5) == pytest.approx(ROWS, rel=0.01)
    assert sample.require_enough(pages, 1.0) == pytest.approx(ROWS, rel=0.01)
    with pytest.raises(ConfigError, match=r"about 60 of 59\d rows.*--share 0\.33\d or more"):
        sample.require_enough(pages, 0.1)
    with engine.begin() as connection:
        connection.exec_driver_sql('delete from "Amenities"')
    with pytest.raises(ConfigError, match="has no row"):
        sample.require_enough(pages, 1.0)

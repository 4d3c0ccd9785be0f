"""The proof at scale, with fewer rows."""

import pytest

from tests.scale import report
from tests.scale.__main__ import Sizes, prove

SHORT = Sizes(rows=24_000, small=8_000, long=2_500, quota=600)


@pytest.mark.timeout(420)
def test_every_row_is_filled_once_within_the_quota_whoever_is_killed(tmp_path):
    found = prove(SHORT, tmp_path)
    assert not found["missed"]
    assert set(report.MEANINGS) <= set(found)
    assert [line["rows"] for line in found["plan"]] == [10**6, 10**7, 10**8, 10**9]
    assert len(report.tables(found).splitlines()) > 20

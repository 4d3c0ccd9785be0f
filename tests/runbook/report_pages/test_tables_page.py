from pathlib import Path

import pytest

from ragkit.migration.plan.tables.load import plans_of
from ragkit.migration.verdict import GO, INCONCLUSIVE, NO_GO
from ragkit.runbook.notebooks.run import Outcome
from ragkit.runbook.report_pages.tables_page import together, write_tables_page
from ragkit.runbook.runbook import Answer
from tests.stand_ins.two_tables import two_tables


def test_it_lists_each_table_with_its_verdict_and_no_text_becomes_markup(tmp_path):
    hostile = "<img src=x onerror=alert(1)>"
    sections = two_tables()
    sections["tables"][1]["table"]["name"] = hostile
    outcomes = [
        Outcome("Amenities", Path("1-amenities"), GO, "Every gate passed.", None, []),
        Outcome(hostile, Path("2-x"), NO_GO, hostile, Answer("m", hostile, hostile), [hostile]),
    ]
    page = write_tables_page(tmp_path, plans_of(sections), outcomes).read_text()
    assert '<a href="1-amenities/index.html">Amenities</a><td><b class="go">GO</b>' in page
    assert '<b class="no">NO-GO</b>' in page
    assert '<h1 class="no">NO-GO</h1>' in page
    assert "<img" not in page
    assert "http" not in page.replace(hostile, "")


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        ([GO, GO], GO),
        ([GO, INCONCLUSIVE], INCONCLUSIVE),
        ([None, INCONCLUSIVE], None),
        ([None, NO_GO, GO], NO_GO),
    ],
)
def test_the_worst_verdict_is_that_of_all(verdicts, worst):
    assert together(verdicts) == worst

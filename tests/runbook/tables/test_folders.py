from pathlib import Path

from ragkit.migration.plan.tables.load import plans_of
from ragkit.runbook.tables.folders import table_folder
from tests.conftest import make_plan
from tests.stand_ins.two_tables import two_tables


def test_each_table_of_several_has_a_folder_of_its_own():
    run = Path("run")
    sections = two_tables()
    sections["tables"][1]["table"]["name"] = "../Größe & 价"
    plans = plans_of(sections)
    assert [table_folder(run, plan) for plan in plans] == [run / "1-amenities", run / "2-gr-e"]
    assert table_folder(run, make_plan()) == run

import pytest

from ragkit.migration.inspection.rules import rule_of
from ragkit.migration.inspection.way_checks import check_way
from tests.conftest import with_plan
from tests.migration.partitions.tables import run


def check(migration, way):
    return list(check_way(with_plan(migration, {"app.way": way})))


@pytest.mark.parametrize(
    ("way", "statement", "passed", "says"),
    [
        ("view", "select 1", True, "nothing is in the way of the view"),
        ("swap", "select 1", True, "nothing is in the way of the swap"),
        (
            "view",
            'create schema ragkit_v2 create table "Amenities" ()',
            False,
            "not made by ragkit",
        ),
        ("view", 'create view mine as select embedding from "Amenities"', None, "mine shows embed"),
        (
            "swap",
            'create view mine as select embedding from "Amenities"',
            False,
            "mine would go on",
        ),
    ],
)
def test_what_stands_in_the_way_is_told_before_anything_is_changed(
    migration, engine, way, statement, passed, says
):
    run(engine, statement)
    [found] = check(migration, way)
    assert (found.passed, says in found.observed) == (passed, True)
    assert rule_of(found.name) == "RK043"


def test_a_column_needs_nothing(migration):
    assert check(migration, "column") == []

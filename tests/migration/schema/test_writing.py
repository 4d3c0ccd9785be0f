import json

import pytest
import sqlalchemy as sa

from ragkit.migration.schema.expansion import expand
from ragkit.migration.schema.writing import write_sql
from ragkit.retrieval.guarded_write import SETTINGS
from tests.conftest import with_plan


def test_names_are_quoted_and_a_text_cannot_end_them(migration):
    odd = with_plan(migration, {"new.column": 'it\'s $1 \\ "odd"'})
    sql = write_sql(odd)
    assert 'set "it\'s $1 \\ ""odd""" = locked.vector' in sql
    assert "E'" in sql


@pytest.mark.parametrize("rows", [1, 20_000])
def test_the_planner_is_left_the_indexes(migration, engine, rows):
    """Also for a table that grew since it was analysed, and for one that is small."""
    expand(migration)
    with engine.begin() as connection:
        connection.exec_driver_sql('analyze "Amenities"')
        connection.exec_driver_sql(
            'insert into "Amenities" (id, name, content) '
            "select n, 'n', 'Text ' || n from generate_series(100, 99 + %s) n",
            (rows,),
        )
        for name, value in SETTINGS.items():
            connection.execute(sa.select(sa.func.set_config(name, value, True)))
        sql = write_sql(migration).replace("$1", "array['1']").replace("$2", "array['A']")
        sql = sql.replace("$3", "array['[1]'::vector]")
        [plan] = json.loads(
            json.dumps(connection.exec_driver_sql(f"explain (format json) {sql}").scalar())
        )
    reads = [node for node in nodes(plan["Plan"]) if node.get("Relation Name") == "Amenities"]
    kinds = {node["Node Type"] for node in reads} - {"ModifyTable"}
    assert kinds == {"Index Scan", "Tid Scan"}
    assert {node["Index Name"] for node in reads if "Index Name" in node} == {"Amenities_pkey"}
    assert not [n for n in nodes(plan["Plan"]) if n["Node Type"] in ("Hash Join", "Merge Join")]


def nodes(plan):
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)

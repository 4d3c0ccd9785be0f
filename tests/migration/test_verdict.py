import sqlalchemy as sa

from tests.conftest import gates_of


def test_the_coverage_gate_fails_when_nobody_fills_a_pending_row(filled):
    with filled.engine.begin() as connection:
        row = {"id": 100, "name": "n", "content": "Nobody follows."}
        connection.execute(sa.insert(filled.table).values(row))
        connection.exec_driver_sql(
            "update ragkit.migration set caught_up_at = now() - interval '2 minutes'"
        )
    gate = gates_of(filled)["coverage"]
    assert (gate.passed, "1 pending" in gate.observed) == (False, True)

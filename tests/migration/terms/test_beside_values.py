"""Configured SQL means the same with bound values and without."""

import pytest
import sqlalchemy as sa

from ragkit.migration.terms.beside_values import as_column

CASES = [
    "id % 2 = 0", "(id%2)=0", "id %s = 0", "id OPERATOR(pg_catalog.%) 2 = 0", "mod(id, 2) = 0",
    "note = '50% off'", "note like '%off'", "note || '%' like '%%' and id % 2 = 0",
    "note <> E'it''s 5 %\\\\' and id % 2 = 0", "note <> E'a\\\\''%s' and id % 2 = 0",
    '"100%" is null and id %2 = 0', "id <%> 2", "note = E'\\\\%' or id % 2 = 0",
]  # fmt: skip


@pytest.mark.parametrize("sql", CASES)
def test_it_means_the_same_with_values_and_without(engine, sql):
    with engine.begin() as connection:
        for statement in (
            "create function off(int, int) returns bool immutable language sql return $1 % $2 = 0",
            "create operator <%> (leftarg = int, rightarg = int, function = off)",
            'create table t (id int, note text, s int default 2, "100%" int)',
            "insert into t values (1, '50% off'), (2, '50% off'), (3, E'\\\\%'), (4, 'other')",
        ):
            connection.exec_driver_sql(statement)
        expected = connection.exec_driver_sql(f"select id from t where {sql}").scalars().all()
        condition = as_column(sql, sa.Boolean())
        query = sa.select(sa.column("id")).select_from(sa.table("t")).where(condition)
        assert expected
        assert connection.scalars(query).all() == expected
        given = query.where(sa.literal("given") == "given")
        assert connection.scalars(given).all() == expected

"""Keys in their text form, by the real server."""

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragkit.database.keys import Key

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)
ONE, TWO = Key(("id",), ("integer",)), Key(("tenant", "id"), ("text", "integer"))


def test_a_single_column_is_its_text():
    assert ONE.text_of("r") == "r.id::text"
    assert ONE.typed("$1") == ["$1::integer"]
    assert ONE.matches("r", ["k0"]) == "r.id = k0"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(keys=st.lists(st.tuples(TEXT, st.integers(-(2**31), 2**31 - 1)), min_size=1, unique=True))
def test_any_key_is_found_by_its_text_form(engine, keys):
    with engine.connect() as connection:
        connection.exec_driver_sql("create temporary table t (tenant text, id int)")
        rows = [{"tenant": tenant, "id": number} for tenant, number in keys]
        connection.execute(sa.text("insert into t values (:tenant, :id)"), rows)
        texts = list(connection.exec_driver_sql(f"select {TWO.text_of('t')} from t").scalars())
        assert len(set(texts)) == len(keys)
        table = sa.table("t", sa.column("tenant"), sa.column("id"))
        for text in texts:
            columns = [table.c.tenant, table.c.id]
            query = sa.select(*columns).where(TWO.is_one_of(columns, [text]))
            [found] = connection.execute(query).all()
            assert tuple(found) == keys[texts.index(text)]


def test_the_index_of_the_key_is_used(engine):
    with engine.connect() as connection:
        connection.exec_driver_sql("create table t (tenant text, id int, primary key (tenant, id))")
        connection.exec_driver_sql("insert into t select 'x', n from generate_series(1, 5000) n")
        connection.exec_driver_sql("analyze t")
        table = sa.table("t", sa.column("tenant"), sa.column("id"))
        columns = [table.c.tenant, table.c.id]
        query = sa.select(*columns).where(TWO.is_one_of(columns, ["{x,7}", "{x,9}"]))
        sql = query.compile(connection, compile_kwargs={"literal_binds": True})
        plan = "\n".join(connection.exec_driver_sql(f"explain {sql}").scalars())
        assert "t_pkey" in plan
        assert "Seq Scan on t" not in plan

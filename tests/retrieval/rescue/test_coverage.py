from dataclasses import replace

import pytest

from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.retrieval.rescue import coverage
from ragkit.retrieval.rescue.coverage import estimate_coverage
from ragkit.retrieval.rescue.filling import Bought, write
from tests.conftest import TEXTS
from tests.retrieval.rescue.conftest import make_rescue


def estimate(migration):
    with migration.engine.connect() as connection:
        return estimate_coverage(connection, migration.new, make_rescue(migration))


def test_it_is_the_share_of_the_rows_with_a_text(rescued, new_embedder):
    assert estimate(rescued) == 0
    vectors = new_embedder.embed_documents(TEXTS[:3])
    write(
        rescued.engine, rescued.new, make_rescue(rescued), Bought(list("123"), TEXTS[:3], vectors)
    )
    assert estimate(rescued) == 0.5
    list(run_backfill(rescued, new_embedder))
    assert estimate(rescued) == 1


def test_a_table_without_a_text_is_covered(rescued):
    with rescued.engine.begin() as connection:
        connection.exec_driver_sql(f"delete from {rescued.quoted_table}")
    assert estimate(rescued) == 1


def test_a_large_table_is_not_read(rescued, monkeypatch):
    monkeypatch.setattr(coverage, "PAGES", 1)
    with rescued.engine.begin() as connection:
        connection.exec_driver_sql(
            f"insert into {rescued.quoted_table} (id, content) "
            "select n, repeat('wool ', 300) from generate_series(1000, 3000) n"
        )
    with rescued.engine.connect() as connection:
        assert estimate_coverage(connection, rescued.new, make_rescue(rescued)) in (0, 1)
        [[plan]] = connection.exec_driver_sql(
            "explain (analyze, costs off, timing off, summary off, format json) "
            + coverage._share_sql(rescued.new, make_rescue(rescued), 1.0).replace("%%", "%")
        ).all()
    assert "Sample Scan" in str(plan)


@pytest.mark.parametrize("name", ['public.Odd "t" %'])
def test_names_are_quoted(rescued, name):
    sql = coverage._share_sql(replace(rescued.new, table=name), make_rescue(rescued), 10.0)
    assert '"Odd ""t"" %%"' in sql

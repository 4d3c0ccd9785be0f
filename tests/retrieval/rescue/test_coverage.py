import pytest

from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from ragkit.retrieval.rescue import coverage
from ragkit.retrieval.rescue.coverage import estimate_coverage
from ragkit.retrieval.rescue.filling import Bought, write
from ragkit.retrieval.service import SearchService
from tests.conftest import TEXTS, changed, make_table
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


def test_a_text_of_white_space_alone_is_none(rescued, new_embedder):
    with rescued.engine.begin() as connection:
        connection.exec_driver_sql(
            f"update {rescued.quoted_table} set content = E' \\n\\t' where id = 1"
        )
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
            + coverage._share_sql(rescued.new, make_rescue(rescued), 1.0)
        ).all()
    assert "Sample Scan" in str(plan)


def test_names_may_hold_anything(engine, plan):
    name = 'the "text" of 100% :all'
    odd = changed(plan, {"table.content": name})
    make_table(engine, odd, TEXTS)
    migration = Migration.open(odd, engine)
    expand(migration)
    assert estimate(migration) == 0


@pytest.mark.timeout(30)
def test_health_does_not_wait_for_a_table_that_is_locked(rescued, new_embedder):
    service = SearchService(
        rescued.engine, new_embedder, rescued.plan.table.qualified_name, ["name"]
    )
    assert service.health().coverage == 0
    with rescued.engine.begin() as app:
        app.exec_driver_sql(f"lock table {rescued.quoted_table}")
        health = service.health()
    assert (health.served_by, health.coverage) == ("rescue", None)

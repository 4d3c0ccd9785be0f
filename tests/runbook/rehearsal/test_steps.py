"""A rehearsal runs the whole migration, and leaves nothing but a forecast and a bill."""

import pytest
import sqlalchemy as sa
from grpc import StatusCode

from ragkit.errors import (
    BudgetExceeded,
    ConfigError,
    DatabaseError,
    ModelUnavailable,
    PhaseError,
    SchemaError,
)
from ragkit.migration import ledger, phases
from ragkit.migration.backfill.model_calls.costs import read_costs
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.rehearsal.fitness import require_rehearsable
from ragkit.migration.rehearsal.record import beside_the_run
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.runbook.rehearsal.steps import Rehearsal
from tests.conftest import changed, clone, drop, make_table, with_plan
from tests.runbook.rehearsal.conftest import PLACES, ROWS, rehearse

PAID = "text-embedding-005"


@pytest.fixture
def paid(runbook, vertex, monkeypatch):
    monkeypatch.setenv("VERTEX_ENDPOINT", vertex.address)
    monkeypatch.setenv("GCP_PROJECT_ID", "p")
    return lambda **changes: runbook(new__model=PAID, **changes)


def test_the_table_is_only_read_and_nothing_is_left(runbook, seen, leftovers):
    before = seen()
    rehearsal, forecast = rehearse(runbook())
    assert seen() == before
    assert leftovers() == []
    assert rehearsal.sample.rows == rehearsal.measured.rows == forecast.rows == ROWS
    assert rehearsal.verdict is not None
    assert rehearsal.measured.index_bytes > 0 < rehearsal.measured.table_bytes
    assert rehearsal.evidence.neighbourhoods.overlap.low > 0
    assert runbook().migration.phase() == phases.PLANNED


def test_the_copy_is_as_the_table_is(runbook, engine):
    with Rehearsal(runbook(), 1.0) as rehearsal:
        rehearsal.copy()
        with engine.connect() as connection:
            indexes, options = (
                connection.execute(sa.text(sql)).all()
                for sql in (
                    "select schemaname, array_agg(regexp_replace(indexdef, '.* USING', '')) "
                    "from pg_indexes where tablename = 'Amenities' group by 1 order by 1",
                    "select reloptions from pg_class where relname = 'Amenities'",
                )
            )
            rows = [
                connection.execute(sa.text(f'select * from {schema}."Amenities" order by 1')).all()
                for schema in ("public", "ragkit_rehearsal")
            ]
    assert [schema for schema, _ in indexes] == ["public", "ragkit_rehearsal"]
    assert sorted(indexes[0][1]) == sorted(indexes[1][1])
    assert options == [(["fillfactor=90"],)] * 2
    assert rows[0] == rows[1]


def test_what_it_spends_is_booked_on_the_migration_and_counts_against_its_budget(paid, leftovers):
    rehearsal, forecast = rehearse(paid())
    runbook = paid()
    [cost] = read_costs(runbook.migration)
    assert cost.model == f"{PAID}, rehearsal"
    assert (cost.requests, cost.tokens, cost.usd) == (
        rehearsal.measured.requests, rehearsal.measured.tokens, rehearsal.measured.usd,
    )  # fmt: skip
    assert cost.usd > 0
    assert forecast.usd == pytest.approx(cost.usd, rel=0.01)
    with pytest.raises(BudgetExceeded):
        one = {"backfill__batch_size": 50, "backfill__in_flight": 1}
        rehearse(paid(backfill__budget_usd=1.5 * cost.usd, **one))
    assert leftovers() == []
    again = sum(cost.usd for cost in read_costs(runbook.migration))
    assert cost.usd < again <= 1.5 * cost.usd


def test_the_forecast_is_shown_beside_the_run(paid):
    _, forecast = rehearse(paid(), share=0.6)
    runbook = paid()
    migration = runbook.migration
    [told, run] = beside_the_run(migration)
    assert run.rows is None
    assert told.rows == forecast.rows
    expand(migration)
    list(run_backfill(migration, runbook.new_embedder))
    index.build(migration)
    [told, run] = beside_the_run(migration)
    assert run.rows == ROWS
    assert told.rows == pytest.approx(ROWS, rel=0.02)
    assert told.usd == pytest.approx(run.usd, rel=0.1)
    assert told.index_bytes == pytest.approx(run.index_bytes, rel=0.25)
    assert run.backfill_minutes > 0 < run.index_minutes


def test_texts_that_the_model_refuses_are_foretold(paid, engine):
    with engine.begin() as connection:
        long = "update \"Amenities\" set content = repeat('word ', 4000) where id <= 8"
        connection.exec_driver_sql(long)
    rehearsal, forecast = rehearse(paid())
    assert (rehearsal.measured.dead_letters, rehearsal.measured.rows) == (8, ROWS - 8)
    assert forecast.dead_letters == 8
    assert rehearsal.verdict.verdict == "NO-GO"


def test_a_quota_limits_the_forecast_whatever_the_rate_is(paid):
    few = paid(backfill__requests_per_minute=6, backfill__batch_size=100)
    rehearsal, forecast = rehearse(few, share=0.5)
    assert forecast.limited_by == "the quota"
    assert forecast.backfill_minutes == pytest.approx(forecast.requests / 6, rel=0.01)
    assert rehearsal.measured.requests < forecast.requests


def test_a_share_that_is_too_small_for_a_comparison_is_refused(runbook, seen):
    before = seen()
    with pytest.raises(ConfigError, match=r"about 40 of 400 rows.*200.*--share 0.5 or more"):
        Rehearsal(runbook(), 0.1).__enter__()
    assert seen() == before


def test_judged_rows_are_in_the_sample(runbook, tmp_path):
    questions, qrels = tmp_path / "q.jsonl", tmp_path / "qrels.tsv"
    questions.write_text('{"_id": "q0", "text": "wool"}\n{"_id": "q1", "text": "shop"}\n')
    judged = range(1, ROWS, 8)
    qrels.write_text("".join(f"q{row // 8 % 2} 0 {row} 1\n" for row in judged))
    files = {"evaluation__questions": str(questions), "evaluation__qrels": str(qrels)}
    rehearsal, _ = rehearse(runbook(**files), share=0.5)
    assert 0 < rehearsal.sample.judged_rows < len(judged)
    assert rehearsal.evidence.comparison.questions.missing_rows == 0
    assert rehearsal.evidence.differences[0].n == 2


def test_a_migration_that_has_begun_is_not_rehearsed(runbook):
    begun = runbook()
    expand(begun.migration)
    with pytest.raises(PhaseError, match="this one is 'expanded'"):
        rehearse(runbook())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"old__placement": "side_table"}, "the old vectors are in a side table"),
        ({"backfill__mode": "batch"}, "--set backfill.mode=live"),
    ],
)
def test_what_a_copy_does_not_show_is_refused(runbook, changes, said):
    named = {name.replace("__", "."): value for name, value in changes.items()}
    with pytest.raises(ConfigError, match=said):
        require_rehearsable(with_plan(runbook().migration, named))


def test_there_is_nothing_to_clean_where_nothing_was_rehearsed(runbook, engine):
    assert Rehearsal(runbook(), 1).clean() is None
    with engine.connect() as connection:
        assert not connection.scalar(sa.text("select to_regnamespace('ragkit')"))


def test_a_schema_that_somebody_else_made_is_never_dropped(runbook, engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("create schema ragkit_rehearsal create table mine (id int)")
    for act in (lambda: rehearse(runbook()), lambda: Rehearsal(runbook(), 1).clean()):
        with pytest.raises(SchemaError, match="was not made by ragkit"):
            act()
    with engine.connect() as connection:
        assert connection.scalar(sa.text("select count(*) from ragkit_rehearsal.mine")) == 0


def test_a_migration_that_is_under_way_is_not_harmed(runbook, engine, plan):
    other = changed(plan, {"table.name": "Others"})
    make_table(engine, other, PLACES[:20])
    live = Migration.open(other, engine)
    expand(live)
    rehearse(runbook())
    with engine.begin() as connection:
        connection.exec_driver_sql("update \"Others\" set content = 'Tea.' where id = 3")
    list(run_backfill(live, runbook().new_embedder))
    assert live.phase() == phases.BACKFILLED
    with engine.connect() as connection:
        assert not ledger.last_event(connection, live.id, "rehearsal")


def test_a_check_that_a_row_breaks_is_found_out(runbook, engine, seen, leftovers):
    """It would end the migration itself: no update of such a row works."""
    with engine.begin() as connection:
        check = "check (name <> 'Place 7') not valid"
        connection.exec_driver_sql(f'alter table "Amenities" add constraint late {check}')
    before = seen()
    with pytest.raises(DatabaseError, match='violates check constraint "late"'):
        rehearse(runbook())
    assert leftovers() == []
    assert seen() == before


def test_a_side_table_is_rehearsed_and_removed(runbook, leftovers):
    rehearsal, forecast = rehearse(runbook(new__placement="side_table"))
    assert leftovers() == []
    assert rehearsal.measured.rows == forecast.rows == ROWS
    assert rehearsal.measured.table_bytes > ROWS * 64 * 4


def test_a_filter_and_an_expression_are_rehearsed(runbook, leftovers):
    rehearsal, forecast = rehearse(
        runbook(table__where="id > 100", table__content="(name || ' ' || description)")
    )
    assert rehearsal.measured.rows == forecast.rows == ROWS - 100
    assert leftovers() == []


def test_what_failed_is_told_also_where_the_copy_cannot_be_removed(runbook, engine, caplog):
    mine = runbook(database__lock_timeout_ms=20, database__ddl_seconds=0.2)
    rehearsal = Rehearsal(mine, 1.0)
    with engine.begin() as other, pytest.raises(RuntimeError, match="the model"), rehearsal:
        rehearsal.copy()
        other.exec_driver_sql('select from ragkit_rehearsal."Amenities"')
        raise RuntimeError("the model")
    assert "ragkit rehearse --clean tries again" in caplog.text
    assert rehearsal.clean() == mine.migration.id


def test_a_partitioned_table_is_rehearsed_as_a_plain_one(runbook, engine, leftovers):
    with engine.begin() as connection:
        for sql in (
            'create table parts (like "Amenities") partition by hash (id)',
            "create table one partition of parts for values with (modulus 2, remainder 0)",
            "create table two partition of parts for values with (modulus 2, remainder 1)",
            "insert into parts (id, name, content, embedding, number) "
            'select id, name, content, embedding, number from "Amenities"',
            "alter table parts add primary key (id)",
            "create index on parts using hnsw (embedding vector_cosine_ops)",
        ):
            connection.exec_driver_sql(sql)
    rehearsal, forecast = rehearse(runbook(table__name="parts"), share=0.6)
    assert 0.4 * ROWS < rehearsal.measured.rows < 0.8 * ROWS
    assert forecast.rows == pytest.approx(ROWS, rel=0.01)
    assert leftovers() == []


def test_a_key_that_has_expired_is_found_out_and_nothing_is_left(paid, vertex, leftovers, seen):
    vertex.refuse = [StatusCode.UNAUTHENTICATED] * 50
    before = seen()
    with pytest.raises(ModelUnavailable, match="UNAUTHENTICATED"):
        rehearse(paid())
    assert leftovers() == []
    assert seen() == before


def test_a_clone_of_the_database_takes_the_copy(runbook, engine, admin, seen, leftovers):
    engine.dispose()
    clone(admin, "a clone", engine.url.database)
    try:
        before = seen()
        there = engine.url.set(database="a clone").render_as_string(hide_password=False)
        rehearsal, forecast = rehearse(runbook(), clone=there)
        assert rehearsal.place.migration.database != runbook().migration.database
        assert seen() == before
        assert leftovers() == []
        assert beside_the_run(runbook().migration)[0].rows == forecast.rows == ROWS
    finally:
        rehearsal.place.engine.dispose()
        drop(admin, "a clone")

from dataclasses import replace

import pytest
import sqlalchemy as sa

from ragkit.comparison import gates, metrics
from ragkit.comparison.compare import compare
from ragkit.comparison.evidence import gather
from ragkit.comparison.questions import Judged
from ragkit.errors import ConfigError, GateError, SpaceNotReady
from ragkit.migration import backfill, index, ledger, schema
from ragkit.migration import verdict as verdicts
from ragkit.view import charts
from tests.conftest import TEXTS

QUESTIONS = {f"q{n}": text.partition(". ")[2] for n, text in enumerate(TEXTS, 1)}
JUDGED = Judged(QUESTIONS, {f"q{n}": {str(n): 3} for n in range(1, 6)})


@pytest.fixture
def filled(migration, new_embedder):
    schema.expand(migration)
    list(backfill.fill(migration, new_embedder))
    index.build(migration)
    return migration


def test_both_sides_are_asked_every_question(filled, old_embedder, new_embedder):
    found = compare(filled, JUDGED, old_embedder, new_embedder)
    assert list(found.old.run) == list(found.new.run) == list(QUESTIONS)
    assert found.old.run["q2"][0] == "2"
    assert found.labels["2"] == "Northlight"
    assert len(found.new.latency_ms) == 6
    assert len(found.old_scores) == 5  # q6 has no relevant row
    assert (found.new_scores["recall@3"] == 1).all()
    assert found.overlap.between(0, 1).all()
    assert found.old.relevant.index.equals(found.new.relevant.index)
    assert len(found.old.relevant) == 5
    assert found.old.relevant.between(0, 1).all()


def test_k_must_be_smaller_than_the_table(filled, old_embedder, new_embedder):
    plan = filled.plan.model_copy(update={"k": 6})
    with pytest.raises(ConfigError, match=r"k is 6, and 6 rows have a vector.*smaller k"):
        compare(replace(filled, plan=plan), JUDGED, old_embedder, new_embedder)


def test_a_swap_of_rows_with_the_same_text_is_no_change(filled, old_embedder, new_embedder):
    with filled.engine.begin() as connection:
        twin = sa.update(filled.table).where(filled.key == 6)
        connection.execute(twin.values(content=TEXTS[1]))
    list(backfill.fill(filled, new_embedder))
    found = compare(filled, JUDGED, old_embedder, new_embedder)
    assert found.alike == 2
    assert (found.new_scores["MRR@3"]["q2"], found.new.run["q2"][:2]) == (1, ["2", "6"])


def test_the_worst_loss_comes_first(filled, old_embedder, new_embedder):
    change = compare(filled, JUDGED, old_embedder, new_embedder).change("nDCG@3")
    assert change.is_monotonic_increasing


def test_a_half_filled_column_is_refused_with_its_coverage(filled, old_embedder, new_embedder):
    with filled.engine.begin() as connection:
        clear = sa.update(filled.table).where(filled.key == 1)
        connection.execute(clear.values({"new vector": None}))
        connection.exec_driver_sql(
            "update ragkit.migration set caught_up_at = now() - interval '2 minutes'"
        )
    with pytest.raises(SpaceNotReady, match="5 of 6"):
        compare(filled, JUDGED, old_embedder, new_embedder)


def test_rows_written_just_now_are_no_reason_to_refuse(filled, old_embedder, new_embedder):
    """A table that is written to all the time has always some rows without a vector."""
    list(backfill.fill(filled, new_embedder))
    with filled.engine.begin() as connection:
        change = sa.update(filled.table).where(filled.key == 1)
        connection.execute(change.values(content="Written while a follower runs."))
    assert compare(filled, JUDGED, old_embedder, new_embedder).k == filled.plan.k


def test_a_judged_row_that_was_deleted_is_left_out_and_told(filled, old_embedder, new_embedder):
    with filled.engine.begin() as connection:
        connection.execute(sa.delete(filled.table).where(filled.key == 2))
    judged = compare(filled, JUDGED, old_embedder, new_embedder).judged
    assert (judged.gone, sorted(judged.qrels)) == (1, ["q1", "q3", "q4", "q5"])


def test_qrels_of_another_table_are_refused(filled, old_embedder, new_embedder):
    judged = Judged(QUESTIONS, {"q1": {"1": 1, "998": 2, "999": 2}})
    with pytest.raises(ConfigError, match="2 rows that do not exist, '998'"):
        compare(filled, judged, old_embedder, new_embedder)


def decided(migration, old_embedder, new_embedder, judged=JUDGED):
    evidence = gather(migration, compare(migration, judged, old_embedder, new_embedder))
    return gates.decide(migration, evidence, new_embedder)


def gate(verdict, name):
    return next(g for g in verdict.gates if g.name.startswith(name))


def test_the_verdict_is_recorded_and_read_back(filled, old_embedder, new_embedder):
    verdict = decided(filled, old_embedder, new_embedder)
    assert verdicts.recorded(filled) == verdict
    assert list(verdict.figures["metrics"]) == metrics.names(3)
    assert [point["setting"] for point in verdict.figures["index"] if point["default"]] == [
        "exact", "hnsw.ef_search = 40",
    ]  # fmt: skip
    with filled.engine.connect() as connection:
        assert ledger.phase(connection, filled.id) == ledger.COMPARED


def test_the_gate_and_the_table_show_the_same_interval(filled, old_embedder, new_embedder):
    found = decided(filled, old_embedder, new_embedder)
    ndcg = found.figures["metrics"]["nDCG@3"]["change"]
    assert f"({ndcg['low']:+.3f} to {ndcg['high']:+.3f})" in gate(found, "nDCG@3 change").observed


def test_a_rerun_gives_the_same_figures(filled, old_embedder, new_embedder):
    one, other = (decided(filled, old_embedder, new_embedder).figures for _ in range(2))
    for timed in ("index", "p95_ms"):
        del one[timed], other[timed]
    assert one == other


def test_random_vectors_are_never_a_go(filled, old_embedder, new_embedder):
    with filled.engine.begin() as connection:
        connection.exec_driver_sql(
            'update "Amenities" set "new vector" = '
            "(select array_agg(random()) from generate_series(1, 64 + 0 * id))::vector"
        )
    verdict = decided(filled, old_embedder, new_embedder)
    assert gate(verdict, "stored vectors match").passed is False
    assert verdict.verdict == verdicts.NO_GO
    with pytest.raises(GateError, match="NO-GO: stored vectors match"):
        verdicts.require_go(verdict)


def test_what_happened_since_the_verdict_counts(filled, old_embedder, new_embedder):
    decided(filled, old_embedder, new_embedder)
    assert gate(verdicts.check(filled), "coverage").passed is True
    with filled.engine.begin() as connection:
        connection.execute(sa.update(filled.table).where(filled.key == 1).values(content="edited"))
        connection.exec_driver_sql(f'drop index "{index.state(connection, filled).name}"')
    verdict = verdicts.check(filled)
    assert gate(verdict, "coverage").observed == (
        "83.33%, 0 pending (1 just written), 0 without text"
    )
    assert gate(verdict, "index").observed == "missing"
    assert verdict.verdict == verdicts.NO_GO


def test_without_a_comparison_there_is_no_go(filled):
    found = verdicts.check(filled)
    assert [g.passed for g in found.gates] == [True, True, True, False]
    with pytest.raises(GateError, match="run the compare notebook"):
        verdicts.require_go(found)


def test_questions_of_a_log_show_what_is_different_and_decide_nothing(
    filled, old_embedder, new_embedder
):
    log = Judged(QUESTIONS, {}, counts=dict.fromkeys(QUESTIONS, 1) | {"q1": 100})
    verdict = decided(filled, old_embedder, new_embedder, log)
    assert gate(verdict, "judged questions").passed is None
    assert verdict.verdict == verdicts.INCONCLUSIVE
    assert (verdict.figures["metrics"], verdict.figures["slices"]) == ({}, [])
    comparison = compare(filled, log, old_embedder, new_embedder)
    shared = comparison.shared(comparison.rbo, 1).mean
    assert abs(shared - comparison.rbo["q1"]) < 0.1  # asked a hundred times
    assert charts.change_per_question(comparison) is None

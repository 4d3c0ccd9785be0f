import pytest
import sqlalchemy as sa

from ragkit.errors import ConfigError, GateError, SpaceNotReady
from ragkit.evaluation.comparison import compare, require_rows
from ragkit.evaluation.evidence import collect_evidence
from ragkit.evaluation.gates import decide
from ragkit.evaluation.metrics import trec
from ragkit.evaluation.questions import QuestionSet, read_questions
from ragkit.migration import phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.progress import dead_letters
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.migration.verdict import (
    INCONCLUSIVE,
    NO_GO,
    read_verdict,
    recheck_verdict,
    require_go,
)
from ragkit.report import charts, tables
from ragkit.runbook.report_pages.sentences import what_changes
from ragkit.sandbox.sample import DATA, sample_rows
from ragkit.sandbox.sample import QUESTIONS as QUESTION_FILE
from tests.conftest import (
    TEXTS,
    embedder_of,
    make_plan,
    make_table,
    swap_vectors,
    with_plan,
)  # fmt: skip
from tests.evaluation.example_evidence import make_evidence

TEXT_BY_QUESTION = {f"q{n}": text.partition(". ")[2] for n, text in enumerate(TEXTS, 1)}
QUESTIONS = QuestionSet(TEXT_BY_QUESTION, {f"q{n}": {str(n): 3} for n in range(1, 6)})


def decide_by(questions, migration, old_embedder, new_embedder):
    comparison = compare(migration, questions, old_embedder, new_embedder)
    return decide(migration, collect_evidence(migration, comparison), old_embedder, new_embedder)


def gate(verdict, name):
    return next(g for g in verdict.gates if g.name.startswith(name))


def test_every_question_is_run_against_both_columns(filled, old_embedder, new_embedder):
    comparison = compare(filled, QUESTIONS, old_embedder, new_embedder)
    old, new = comparison.old, comparison.new
    assert list(old.rankings) == list(new.rankings) == list(TEXT_BY_QUESTION)
    assert old.rankings["q2"][0] == "2"
    assert comparison.labels["2"] == "Northlight"
    assert len(new.latency_ms) == 6
    assert len(comparison.old_scores) == 5  # q6 has no relevant row
    assert (comparison.new_scores["recall@3"] == 1).all()
    assert comparison.overlap.between(0, 1).all()
    assert comparison.unfindable == ()


def test_k_must_be_smaller_than_the_table(filled, old_embedder, new_embedder):
    migration = with_plan(filled, {"evaluation.k": 6})
    with pytest.raises(ConfigError, match=r"k is 6, and 6 rows have a vector.*smaller k"):
        compare(migration, QUESTIONS, old_embedder, new_embedder)


def test_a_swap_of_rows_with_the_same_text_is_no_change(filled, old_embedder, new_embedder):
    with filled.engine.begin() as connection:
        row = sa.update(filled.table).where(filled.key == 6)
        connection.execute(row.values(content=TEXTS[1]))
    list(run_backfill(filled, new_embedder))
    comparison = compare(filled, QUESTIONS, old_embedder, new_embedder)
    assert comparison.duplicates == 2
    assert comparison.new_scores["MRR@3"]["q2"] == 1
    assert comparison.new.rankings["q2"][:2] == ["2", "6"]


def test_the_largest_loss_comes_first(filled, old_embedder, new_embedder):
    change = compare(filled, QUESTIONS, old_embedder, new_embedder).change("nDCG@3")
    assert change.is_monotonic_increasing


def test_a_column_that_is_not_full_is_refused_with_its_coverage(filled, old_embedder, new_embedder):
    with filled.engine.begin() as connection:
        row = sa.update(filled.table).where(filled.key == 1)
        connection.execute(row.values({"new vector": None}))
        connection.exec_driver_sql(
            "update ragkit.migration set caught_up_at = now() - interval '2 minutes'"
        )
    with pytest.raises(SpaceNotReady, match="5 of 6"):
        compare(filled, QUESTIONS, old_embedder, new_embedder)


def test_rows_written_just_now_are_no_reason_to_refuse(filled, old_embedder, new_embedder):
    """A table under steady writes always has some rows without a vector."""
    list(run_backfill(filled, new_embedder))
    with filled.engine.begin() as connection:
        row = sa.update(filled.table).where(filled.key == 1)
        connection.execute(row.values(content="Written while a follower runs."))
    comparison = compare(filled, QUESTIONS, old_embedder, new_embedder)
    assert comparison.k == filled.plan.evaluation.k


def test_a_judged_row_that_was_deleted_is_left_out_and_counted(filled, old_embedder, new_embedder):
    with filled.engine.begin() as connection:
        connection.execute(sa.delete(filled.table).where(filled.key == 2))
    questions = compare(filled, QUESTIONS, old_embedder, new_embedder).questions
    assert questions.missing_rows == 1
    assert sorted(questions.qrels) == ["q1", "q3", "q4", "q5"]


def test_questions_that_no_model_could_answer_are_named(filled, old_embedder, new_embedder, shown):
    """The rows are there, and the new model refused them: that is not its ranking's fault."""
    with filled.engine.begin() as connection:
        row = sa.update(filled.table).where(filled.key == 2)
        connection.execute(row.values({"new vector": None}))
    dead_letters.add(filled, {"2": (TEXTS[1], "too long")})
    comparison = compare(filled, QUESTIONS, old_embedder, new_embedder)
    assert comparison.unfindable == ("q2",)
    html, _ = shown(tables.figures, make_evidence(comparison))
    assert "For 1 of them no relevant row has a new vector, so that no model could" in html
    assert f"(“{TEXT_BY_QUESTION['q2']}”)" in html
    assert "Without them nDCG@3 changes by " in html
    sentences = what_changes(make_evidence(comparison).figures())
    assert any("For 1 of 5 judged questions no relevant row" in text for text in sentences)


def test_qrels_of_another_table_are_refused(filled, old_embedder, new_embedder):
    questions = QuestionSet(TEXT_BY_QUESTION, {"q1": {"1": 1, "998": 2, "999": 2}})
    with pytest.raises(ConfigError, match="2 rows that do not exist, '998'"):
        compare(filled, questions, old_embedder, new_embedder)


def test_qrels_are_checked_before_the_table_has_a_new_column(migration):
    """The caller does so before it pays for a backfill."""
    assert require_rows(migration, QUESTIONS) is QUESTIONS
    one_missing = QuestionSet(TEXT_BY_QUESTION, {"q1": {"1": 1, "998": 2}})
    remaining = require_rows(migration, one_missing)
    assert (remaining.qrels, remaining.missing_rows) == ({"q1": {"1": 1}}, 1)
    assert require_rows(migration, remaining) is remaining
    none_relevant = QuestionSet(TEXT_BY_QUESTION, {"q1": {"1": 0, "998": 2}})
    with pytest.raises(ConfigError, match="no relevant row of any judged question"):
        require_rows(migration, none_relevant)


def test_the_verdict_is_recorded_and_read_back(filled, old_embedder, new_embedder):
    verdict = decide_by(QUESTIONS, filled, old_embedder, new_embedder)
    assert read_verdict(filled) == verdict
    assert list(verdict.figures["metrics"]) == trec.metric_names(3)
    defaults = [point["setting"] for point in verdict.figures["index"] if point["default"]]
    assert defaults == ["exact", "hnsw.ef_search = 40"]
    assert filled.phase() == phases.COMPARED


def test_the_gate_and_the_figures_have_the_same_interval(filled, old_embedder, new_embedder):
    verdict = decide_by(QUESTIONS, filled, old_embedder, new_embedder)
    ndcg = verdict.figures["metrics"]["nDCG@3"]["change"]
    bounds = f"({ndcg['low']:+.3f} to {ndcg['high']:+.3f})"
    assert bounds in gate(verdict, "nDCG@3 change").observed


def test_a_rerun_gives_the_same_figures(filled, old_embedder, new_embedder):
    first, second = (
        decide_by(QUESTIONS, filled, old_embedder, new_embedder).figures for _ in range(2)
    )
    for timed in ("index", "p50_ms", "p95_ms"):
        del first[timed], second[timed]
    assert first == second


def test_random_vectors_are_never_a_go(filled, old_embedder, new_embedder):
    with filled.engine.begin() as connection:
        connection.exec_driver_sql(
            'update "Amenities" set "new vector" = '
            "(select array_agg(random()) from generate_series(1, 64 + 0 * id))::vector"
        )
    verdict = decide_by(QUESTIONS, filled, old_embedder, new_embedder)
    assert gate(verdict, "new vectors match").passed is False
    assert verdict.verdict == NO_GO
    with pytest.raises(GateError, match="NO-GO: new vectors match"):
        require_go(verdict)


def test_changes_since_the_verdict_count(filled, old_embedder, new_embedder):
    decide_by(QUESTIONS, filled, old_embedder, new_embedder)
    assert gate(recheck_verdict(filled), "coverage").passed is True
    with filled.engine.begin() as connection:
        connection.execute(sa.update(filled.table).where(filled.key == 1).values(content="edited"))
        connection.exec_driver_sql(f'drop index "{index.state(connection, filled).name}"')
    verdict = recheck_verdict(filled)
    assert gate(verdict, "coverage").observed == (
        "83.33%, 0 pending (1 just written), 0 without text"
    )
    assert gate(verdict, "index").observed == "missing"
    assert verdict.verdict == NO_GO


def test_there_is_no_go_without_a_comparison(filled):
    verdict = recheck_verdict(filled)
    assert [g.passed for g in verdict.gates] == [True, True, True, True, False]
    with pytest.raises(GateError, match="comparison: none yet"):
        require_go(verdict)


def test_questions_of_a_log_show_differences_and_decide_nothing(filled, old_embedder, new_embedder):
    counts = dict.fromkeys(TEXT_BY_QUESTION, 1) | {"q1": 100}
    log = QuestionSet(TEXT_BY_QUESTION, {}, counts=counts)
    verdict = decide_by(log, filled, old_embedder, new_embedder)
    assert gate(verdict, "judged questions").passed is None
    assert verdict.verdict == INCONCLUSIVE
    assert (verdict.figures["metrics"], verdict.figures["slices"]) == ({}, [])
    comparison = compare(filled, log, old_embedder, new_embedder)
    mean = comparison.mean_agreement(comparison.rbo, 1).mean
    assert abs(mean - comparison.rbo["q1"]) < 0.1  # q1 was asked a hundred times
    assert charts.change_per_question(comparison) is None


def test_a_worse_model_is_no_go_by_foreign_rows_in_the_old_column(engine):
    """Half of the old vectors belong to other rows, so that every model looks better."""
    plan = make_plan({"new.model": "wordllama-64",
                      "evaluation.k": 10, "index.type": "none"})  # fmt: skip
    make_table(engine, plan, [row["content"] for row in sample_rows()])
    migration = Migration.open(plan, engine)
    expand(migration)
    old, new = embedder_of(plan.old.model), embedder_of(plan.new.model)
    list(run_backfill(migration, new))
    swap_vectors(migration, 0.5)
    judged = read_questions(QUESTION_FILE, DATA / "qrels.tsv")
    verdict = decide_by(judged, migration, old, new)
    others = [g for g in verdict.gates if not g.name.startswith("old vectors")]
    assert {g.passed for g in others} == {True}
    assert gate(verdict, "old vectors match").passed is None
    assert verdict.verdict == INCONCLUSIVE

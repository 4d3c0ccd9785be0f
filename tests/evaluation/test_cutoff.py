import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.errors import ConfigError
from ragkit.evaluation.comparison import compare
from ragkit.evaluation.cutoff import carry_cutoffs, recalibrate
from ragkit.evaluation.evidence import collect_evidence
from ragkit.evaluation.questions import QuestionSet
from ragkit.retrieval.contract import read_bindings
from ragkit.retrieval.service import SearchService
from tests.conftest import TEXTS, with_plan
from tests.evaluation.example_evidence import make_comparison, make_questions
from tests.evaluation.example_evidence import with_distances as spread

QUESTIONS, K = 40, 5


@pytest.fixture
def comparison(filled, old_embedder, new_embedder):
    texts = {f"q{n}": text.partition(". ")[2] for n, text in enumerate(TEXTS, 1)}
    qrels = {f"q{n}": {str(n): 3, str(n % 6 + 1): 0} for n in range(1, 7)}
    return compare(filled, QuestionSet(texts, qrels), old_embedder, new_embedder)


def cutoffs_in_contract(migration):
    with migration.engine.connect() as connection:
        bindings = read_bindings(connection, migration.plan.table.qualified_name)
    return {binding.column: binding.cutoff for binding in bindings}


def of(old, new):
    """A comparison with these distances, of shape (questions, k), in ascending rows."""
    rankings = {f"q{n}": [str(row) for row in range(old.shape[1])] for n in range(len(old))}
    comparison = make_comparison(make_questions(len(old)), rankings, rankings, k=old.shape[1])
    return spread(comparison, old, new)


distances = st.lists(st.integers(1, 2000), min_size=18, max_size=18, unique=True).map(
    lambda thousandths: np.sort(np.reshape(thousandths, (6, 3)) / 1000)
)


@given(distances, distances, st.floats(0.01, 2))
def test_as_many_questions_stay_unanswered(old, new, cutoff):
    calibration = recalibrate(of(old, new), cutoff, seed=1)
    assert calibration.with_new.empty == calibration.with_old.empty
    assert calibration.with_old.empty == np.mean(old.min(axis=1) > cutoff)
    assert calibration.unchanged.empty == np.mean(new.min(axis=1) > cutoff)
    assert calibration.with_old.rows == pytest.approx((old <= cutoff).sum(axis=1).mean())


def test_where_every_question_is_answered_as_many_rows_are_shown():
    rng = np.random.default_rng(1)
    old, new = (np.sort(rng.uniform(0, spread, (QUESTIONS, K))) for spread in (0.5, 1.5))
    calibration = recalibrate(of(old, new), 0.49, seed=1)
    assert calibration.with_old.empty == calibration.with_new.empty == 0
    assert calibration.with_new.rows == pytest.approx(calibration.with_old.rows, abs=0.1)
    assert calibration.unchanged.empty > 0
    assert calibration.new.low <= calibration.new.mean <= calibration.new.high


def test_a_space_compared_with_itself_keeps_its_cutoff():
    old = np.sort(np.random.default_rng(1).uniform(0, 1, (QUESTIONS, K)))
    calibration = recalibrate(of(old, old), 0.4, seed=1)
    assert calibration.with_new == calibration.unchanged == calibration.with_old
    assert calibration.new.mean == pytest.approx(0.4, abs=0.02)


def test_lists_shorter_than_k_count_what_they_have():
    short = make_comparison(make_questions(3), *[{f"q{n}": ["1"] for n in range(3)}] * 2, k=K)
    calibration = recalibrate(short, 0.5, seed=1)
    assert calibration.with_old.rows == calibration.with_new.rows == 1
    assert (calibration.unchanged.empty, calibration.with_new.empty) == (1, 0)


def test_the_function_applies_the_cutoff_that_is_carried(filled, comparison, old_embedder):
    table = filled.plan.table.qualified_name

    def count_rows(question):
        service = SearchService(filled.engine, old_embedder, table, ["name"])
        return len(service.search(question, 3).rows)

    assert count_rows("champagne") == 3
    calibration = recalibrate(comparison, 0.6, 1)
    assert "change the cut-off in the app" in carry_cutoffs(filled, calibration)
    assert count_rows("champagne") == 3
    strict = with_plan(filled, {"evaluation.carry_cutoff": "questions", "evaluation.cutoff": 0.6})
    new = calibration.new.mean
    message = carry_cutoffs(strict, calibration)
    assert message == f"the contract's cut-offs: old 0.6, new {new:.3f}"
    assert cutoffs_in_contract(filled) == {"embedding": 0.6, "new vector": new}
    assert count_rows("champagne") == 1
    assert count_rows("something else entirely: zebra") == 0


def test_a_comparison_sees_what_lies_beyond_a_cutoff_of_before(
    filled, comparison, old_embedder, new_embedder
):
    strict = with_plan(filled, {"evaluation.carry_cutoff": "questions", "evaluation.cutoff": 0.01})
    carry_cutoffs(strict, recalibrate(comparison, 0.01, 1))
    again = compare(type(filled).open(filled.plan, filled.engine), comparison.questions,
                    old_embedder, new_embedder)  # fmt: skip
    assert again.old.rankings == comparison.old.rankings


def test_an_earlier_contract_is_read_and_gets_the_cutoff_column(filled, comparison):
    with filled.engine.begin() as connection:
        connection.exec_driver_sql("alter table ragkit.contract drop column cutoff")
    assert set(cutoffs_in_contract(filled).values()) == {None}
    for _ in range(2):
        carrying = with_plan(filled, {"evaluation.carry_cutoff": "questions"})
        carry_cutoffs(carrying, recalibrate(comparison, 0.5, 1))
    assert set(cutoffs_in_contract(filled).values()) != {None}


def test_without_questions_nothing_is_carried(filled):
    carrying = with_plan(filled, {"evaluation.carry_cutoff": "questions"})
    evidence = collect_evidence(filled, None)
    assert evidence.cutoff is None
    with pytest.raises(ConfigError, match=r"it takes questions.*set evaluation\.questions"):
        carry_cutoffs(carrying, evidence.cutoff)


def test_only_cosine_distance_has_a_calibration(filled, comparison):
    assert collect_evidence(filled, comparison).cutoff is not None
    assert collect_evidence(with_plan(filled, {"table.distance": "l2"}), comparison).cutoff is None

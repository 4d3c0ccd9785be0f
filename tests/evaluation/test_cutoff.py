from dataclasses import replace

import pytest

from ragkit.errors import ConfigError, SpaceNotReady
from ragkit.evaluation.comparison import compare
from ragkit.evaluation.cutoff import carry_cutoffs, recalibrate
from ragkit.evaluation.questions import QuestionSet
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.schema.expansion import expand
from ragkit.retrieval.contract import read_bindings
from ragkit.retrieval.service import SearchService
from tests.conftest import TEXTS, random_vectors, with_plan

ROWS = 60


@pytest.fixture
def random_migration(engine, plan):
    """New vectors are random: their distances are around 1."""
    return random_vectors(engine, plan, ROWS)


@pytest.fixture
def comparison(migration, old_embedder, new_embedder):
    expand(migration)
    list(run_backfill(migration, new_embedder))
    texts = {f"q{n}": text.partition(". ")[2] for n, text in enumerate(TEXTS, 1)}
    qrels = {f"q{n}": {str(n): 3, str(n % 6 + 1): 0} for n in range(1, 7)}
    return compare(migration, QuestionSet(texts, qrels), old_embedder, new_embedder)


def cutoffs_in_contract(migration):
    with migration.engine.connect() as connection:
        bindings = read_bindings(connection, migration.plan.table.qualified_name)
    return {binding.column: binding.cutoff for binding in bindings}


def test_as_many_pairs_pass_the_new_cutoff_as_passed_the_old_one(random_migration):
    calibration = recalibrate(random_migration)
    old, new = calibration.old_distances, calibration.new_distances
    pairs = ROWS * (ROWS - 1) // 2
    assert (len(old), len(new)) == (pairs, pairs)
    assert (old < calibration.old).mean() == pytest.approx(calibration.selectivity)
    assert (new < calibration.new.mean).mean() == pytest.approx(calibration.selectivity, abs=0.01)
    assert calibration.new.low <= calibration.new.mean <= calibration.new.high


def test_a_rerun_gives_the_same_cutoff(random_migration):
    assert recalibrate(random_migration).new == recalibrate(random_migration).new


def test_a_space_compared_with_itself_keeps_its_cutoff(random_migration):
    """Both columns are the same one."""
    new_column = random_migration.plan.new.column
    same = with_plan(random_migration, {"old.column": new_column, "evaluation.cutoff": 0.9})
    calibration = recalibrate(replace(same, known_old=random_migration.new))
    assert calibration.new.mean == pytest.approx(0.9, abs=0.01)


def test_with_judgements_as_many_relevant_rows_pass(migration, comparison):
    old, new = comparison.old.relevant_distances, comparison.new.relevant_distances
    by_recall = recalibrate(with_plan(migration, {"evaluation.cutoff": 0.3}), comparison).by_recall
    assert by_recall.pairs == 6  # a row of grade 0 is not relevant
    assert by_recall.recall == (old < 0.3).mean()
    assert (new <= by_recall.new.mean).mean() == pytest.approx(by_recall.recall, abs=0.2)
    assert by_recall.new.low <= by_recall.new.mean <= by_recall.new.high
    all_pass = recalibrate(with_plan(migration, {"evaluation.cutoff": 2.0}), comparison).by_recall
    assert (all_pass.recall, all_pass.new.mean) == (1, new.max())


def test_the_function_applies_the_cutoff_that_is_carried(migration, comparison, old_embedder):
    table = migration.plan.table.qualified_name

    def count_rows(question):
        return len(
            SearchService(migration.engine, old_embedder, table, ["name"]).search(question, 3).rows
        )

    assert count_rows("champagne") == 3
    calibration = recalibrate(migration, comparison)
    assert "change the cut-off in the app" in carry_cutoffs(migration, calibration)
    assert count_rows("champagne") == 3
    for kind in ("selectivity", "recall"):
        changes = {"evaluation.carry_cutoff": kind, "evaluation.cutoff": 0.6}
        strict = with_plan(migration, changes)
        calibration = recalibrate(strict, comparison)
        chosen = calibration if kind == "selectivity" else calibration.by_recall
        new = chosen.new.mean
        message = carry_cutoffs(strict, calibration)
        assert message == f"the contract's cut-offs: old 0.6, new {new:.3f}"
        assert cutoffs_in_contract(migration) == {"embedding": 0.6, "new vector": new}
    assert count_rows("champagne") == 1
    assert count_rows("something else entirely: zebra") == 0


def test_an_earlier_contract_is_read_and_gets_the_cutoff_column(migration, comparison):
    with migration.engine.begin() as connection:
        connection.exec_driver_sql("alter table ragkit.contract drop column cutoff")
    assert set(cutoffs_in_contract(migration).values()) == {None}
    for _ in range(2):
        carrying = with_plan(migration, {"evaluation.carry_cutoff": "selectivity"})
        carry_cutoffs(carrying, recalibrate(carrying, comparison))
    assert set(cutoffs_in_contract(migration).values()) != {None}


def test_a_cutoff_by_recall_needs_judgements(random_migration):
    carrying = with_plan(random_migration, {"evaluation.carry_cutoff": "recall"})
    with pytest.raises(ConfigError, match="recall takes judged questions"):
        carry_cutoffs(carrying, recalibrate(random_migration))


def test_an_empty_column_is_refused(migration):
    expand(migration)
    with pytest.raises(SpaceNotReady, match="run the backfill"):
        recalibrate(migration)


def test_only_cosine_distance_has_a_calibration(migration):
    expand(migration)
    assert recalibrate(with_plan(migration, {"table.distance": "l2"})) is None

from dataclasses import replace

import pytest

from ragkit.comparison.compare import compare
from ragkit.comparison.cutoff import carry, recalibrate
from ragkit.comparison.questions import Judged
from ragkit.contract import bindings
from ragkit.errors import ConfigError, SpaceNotReady
from ragkit.migration import backfill, schema
from ragkit.service import SearchService
from tests.conftest import TEXTS, random_vectors, with_plan

ROWS = 60


@pytest.fixture
def spread(engine, plan):
    """New vectors are random: their distances lie around 1."""
    return random_vectors(engine, plan, ROWS)


def test_as_many_pairs_pass_the_new_cut_off_as_passed_the_old(spread):
    found = recalibrate(spread)
    pairs = ROWS * (ROWS - 1) // 2
    assert (len(found.before), len(found.after)) == (pairs, pairs)
    assert (found.before < found.old).mean() == pytest.approx(found.selectivity)
    assert (found.after < found.new.mean).mean() == pytest.approx(found.selectivity, abs=0.01)
    assert found.new.low <= found.new.mean <= found.new.high


def test_a_rerun_gives_the_same(spread):
    assert recalibrate(spread).new == recalibrate(spread).new


def test_a_space_against_itself_keeps_it(spread):
    """Where both columns hold the same vectors."""
    plan = spread.plan.model_copy(update={"old_column": spread.plan.new_column, "cutoff": 0.9})
    found = recalibrate(replace(spread, plan=plan, old=spread.new))
    assert found.new.mean == pytest.approx(0.9, abs=0.01)


@pytest.fixture
def compared(migration, old_embedder, new_embedder):
    schema.expand(migration)
    list(backfill.fill(migration, new_embedder))
    questions = {f"q{n}": text.partition(". ")[2] for n, text in enumerate(TEXTS, 1)}
    judged = Judged(questions, {f"q{n}": {str(n): 3, str(n % 6 + 1): 0} for n in range(1, 7)})
    return compare(migration, judged, old_embedder, new_embedder)


def test_with_judgements_as_many_relevant_rows_are_kept(migration, compared):
    found = recalibrate(with_plan(migration, cutoff=0.3), compared).recalled
    assert found.pairs == 6  # a row of grade 0 is not relevant
    assert found.recall == (compared.old.relevant < 0.3).mean()
    assert (compared.new.relevant <= found.new.mean).mean() == pytest.approx(found.recall, abs=0.2)
    assert found.new.low <= found.new.mean <= found.new.high
    everything = recalibrate(with_plan(migration, cutoff=2.0), compared).recalled
    assert (everything.recall, everything.new.mean) == (1, compared.new.relevant.max())


def test_the_function_keeps_to_the_cut_off_that_is_carried(migration, compared, old_embedder):
    def shown(question):
        service = SearchService(migration.engine, old_embedder, migration.plan.qualified, ["name"])
        return len(service.search(question, 3))

    assert shown("champagne") == 3
    found = recalibrate(migration, compared)
    assert "yours to change" in carry(migration, found)
    assert shown("champagne") == 3
    for kind in ("selectivity", "recall"):
        tight = with_plan(migration, carry_cutoff=kind, cutoff=0.6)
        found = recalibrate(tight, compared)
        value = (found if kind == "selectivity" else found.recalled).new.mean
        assert carry(tight, found) == f"the contract's cut-offs: old 0.6, new {value:.3f}"
        with migration.engine.connect() as connection:
            held = {b.column: b.cutoff for b in bindings(connection, migration.plan.qualified)}
        assert held == {"embedding": 0.6, "new vector": value}
    assert shown("champagne") == 1
    assert shown("something else entirely: zebra") == 0


def test_a_contract_of_before_is_read_and_gets_its_column(migration, compared):
    with migration.engine.begin() as connection:
        connection.exec_driver_sql("alter table ragkit.contract drop column cutoff")
    with migration.engine.begin() as connection:
        assert {b.cutoff for b in bindings(connection, migration.plan.qualified)} == {None}
    for _ in range(2):
        carried = with_plan(migration, carry_cutoff="selectivity")
        carry(carried, recalibrate(carried, compared))
    with migration.engine.connect() as connection:
        assert {b.cutoff for b in bindings(connection, migration.plan.qualified)} != {None}


def test_there_is_nothing_to_carry_by_recall_without_judgements(spread):
    with pytest.raises(ConfigError, match="recall takes judged questions"):
        carry(with_plan(spread, carry_cutoff="recall"), recalibrate(spread))


def test_an_empty_column_is_refused_and_another_distance_has_none(migration):
    schema.expand(migration)
    with pytest.raises(SpaceNotReady, match="run the backfill"):
        recalibrate(migration)
    plan = migration.plan.model_copy(update={"distance": "l2"})
    assert recalibrate(replace(migration, plan=plan)) is None

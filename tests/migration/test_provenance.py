"""A verdict holds only for what it was made of."""

import pytest
import sqlalchemy as sa

from ragkit.errors import GateError
from ragkit.migration import ledger
from ragkit.migration.provenance import differences, provenance
from ragkit.migration.schema import index
from ragkit.migration.status import read_status
from ragkit.migration.verdict import (
    GO,
    NO_GO,
    Gate,
    Verdict,
    read_verdict,
    recheck_verdict,
    record_verdict,
    require_go,
)
from tests.conftest import changed, make_plan, with_plan


def record(migration, outcome):
    gate = Gate("nDCG@3 change", "…", "…", outcome == GO)
    with migration.engine.begin() as connection:
        record_verdict(connection, migration, Verdict(outcome, [gate], {}))


@pytest.fixture
def indexed(filled):
    index.build(filled)
    return filled


def test_a_go_under_lax_limits_does_not_open_a_cut_over_under_strict_ones(indexed):
    record(with_plan(indexed, {"gates.margin": 0.5}), GO)
    verdict = recheck_verdict(indexed)
    assert verdict.verdict == NO_GO
    with pytest.raises(GateError, match=r"GO of .* under other parameters: gates.margin was 0\.5 "):
        require_go(verdict)


def test_a_what_if_run_replaces_no_verdict(indexed):
    record(indexed, GO)
    record(with_plan(indexed, {"gates.ndcg_floor": 0.8}), NO_GO)
    assert read_verdict(indexed).verdict == GO
    assert recheck_verdict(indexed).verdict == GO
    assert read_verdict(with_plan(indexed, {"gates.ndcg_floor": 0.8})).verdict == NO_GO


def test_changed_judgements_need_another_comparison(indexed, tmp_path):
    qrels = tmp_path / "qrels.tsv"
    qrels.write_text("q1\t1\t1\n")
    plan = changed(indexed.plan, {"evaluation.qrels": str(qrels), "evaluation.questions": "q"})
    judged = with_plan(indexed, {"evaluation.qrels": str(qrels), "evaluation.questions": "q"})
    record(judged, GO)
    assert recheck_verdict(judged).verdict == GO
    before = provenance(plan)
    qrels.write_text("q1\t1\t2\n")
    assert recheck_verdict(judged).verdict == NO_GO
    assert differences(before, provenance(plan)) == ["evaluation.qrels has another content"]


def test_an_old_verdict_counts_no_more(indexed):
    record(indexed, GO)
    with indexed.engine.begin() as connection:
        older = ledger.EVENT.c.at - sa.func.make_interval(0, 0, 0, 8)
        connection.execute(sa.update(ledger.EVENT).values(at=older))
    verdict = recheck_verdict(indexed)
    assert verdict.gates[-1] == Gate("age of the verdict", "192.0 h", "≤ 168 h", passed=False)
    assert recheck_verdict(with_plan(indexed, {"gates.verdict_hours": 200.0})).verdict == GO


def test_a_verdict_of_an_earlier_version_is_not_taken(indexed):
    indexed.record("verdict", verdict=GO, gates=[], figures={})
    assert recheck_verdict(indexed).verdict == NO_GO


def test_the_status_says_that_there_is_no_verdict_under_these_parameters(indexed):
    record(indexed, GO)
    assert read_status(indexed, None).next_step == "cut over (notebook 04)"
    strict = with_plan(indexed, {"gates.margin": 0.001})
    assert "no verdict under these parameters" in read_status(strict, None).next_step


@pytest.mark.parametrize(
    ("change", "is_alike"),
    [
        ({"gates.margin": 0.01}, False), ({"gates.claim": "better"}, False),
        ({"new.model": "wordllama-64"}, False), ({"old.column": "other"}, False),
        ({"table.content": "other"}, False), ({"evaluation.k": 5}, False),
        ({"new.long_texts": "cut"}, False), ({"old.long_texts": "cut"}, False),
        ({"gates.override": "a reason"}, True), ({"gates.verdict_hours": 1.0}, True),
        ({"old.retire": True}, True), ({"backfill.batch_size": 9}, True),
        ({"app.apply": True}, True), ({"evaluation.cutoff": 0.4}, True),
    ],
)  # fmt: skip
def test_what_a_verdict_depends_on(change, is_alike):
    plan = make_plan()
    assert (provenance(changed(plan, change)) == provenance(plan)) is is_alike


def test_the_oversampling_counts_for_an_index_of_bits_only(plan):
    def made_of(**index):
        return provenance(changed(plan, {f"index.{name}": v for name, v in index.items()}))

    assert made_of(oversampling=4) == made_of(oversampling=8) == made_of()
    assert made_of(type="binary", oversampling=4) != made_of(type="binary", oversampling=8)

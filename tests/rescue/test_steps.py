"""The steps on a sandbox whose app is down; a rescue of the whole is in tests/notebooks."""

import json

import httpx
import pytest

from ragkit.errors import GateError, PhaseError
from ragkit.evaluation.rescued.quality import BRIDGE, FULL_TEXT, TOGETHER
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.rescue.service_log import DOWN, NATIVE, RESCUED
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.runbook.rescue.need import needs_rescue
from ragkit.runbook.rescue.report import RESCUE, write_rescue
from ragkit.runbook.rescue.service import service_states
from ragkit.runbook.rescue.steps import RescueRun
from tests.runbook.rescue.conftest import GONE, down

__all__ = ["down"]

MAX_SECONDS = 60


def states(runbook):
    return [each.state for each in service_states(runbook)]


def test_a_service_is_down_then_rescued_then_native(down):
    runbook = down(GONE, "rescue.pairs=26")
    assert needs_rescue(runbook)
    rescue = RescueRun(runbook)
    found = rescue.diagnose()
    assert "is not in the catalogue" in found.old_model
    assert (found.new_model, found.serving) == ("answers", None)
    assert rescue.start().refused == "no"
    assert set(rescue.quality.ways) == {FULL_TEXT}
    assert "the answers can reach an nDCG@10 of" in rescue.outlook()
    rescue.deploy()
    assert 0 < rescue.seconds < MAX_SECONDS
    answer = httpx.post(runbook.app.url, json={"name": "restaurants"}, timeout=30)
    assert answer.headers["X-Served-By"] == "rescue"
    assert states(runbook) == [DOWN, RESCUED]
    steps = rescue.fit()
    assert [step.fitting.result.pairs for step in steps] == [26]
    (shown,) = rescue.bridges()
    assert shown.pairs == 26 > shown.bought  # questions have bought some already
    trial = rescue.ask()
    assert trial.bought[0] > trial.bought[1] == 0
    figures = json.loads(write_rescue(rescue).read_text())
    assert figures["pairs"] == 26
    assert figures["seconds_to_first_answer"] == rescue.seconds
    assert figures["quality_measured"]["low"] <= figures["quality_measured"]["mean"]
    assert figures["texts_bought_per_request"]["again"] == 0
    assert (figures["refused"] is None) == (steps[-1].fitting.bridge is not None)
    assert not needs_rescue(runbook)  # it answers
    list(run_backfill(runbook.migration, runbook.new_embedder))
    index.build(runbook.migration)
    assert states(runbook) == [DOWN, RESCUED, NATIVE]
    again = RescueRun(runbook)  # a step may run twice
    again.diagnose()
    again.start()
    assert again.deploy().already
    assert states(runbook) == [DOWN, RESCUED, NATIVE]


def test_a_kernel_that_begins_again_goes_on(down):
    first = RescueRun(down(GONE, "rescue.pairs=0"))
    first.diagnose()
    first.start()
    first.deploy()
    runbook = down(GONE, "rescue.pairs=26")
    again = RescueRun(runbook)
    assert again.diagnose().serving == runbook.plan.new.model
    again.start()
    assert again.deploy().already
    again.fit()
    assert states(runbook) == [DOWN, RESCUED]
    assert not (runbook.run_dir / RESCUE).exists()


def test_where_full_text_is_not_enough_the_bridge_comes_first_and_may_be_enough(down):
    """With a limit between what full text reaches and what both reach together."""
    trial = RescueRun(down(GONE, "rescue.pairs=120", "rescue.min_quality=0"))
    trial.start()
    alone = trial.quality.best
    trial.fit()
    together = trial.quality
    assert together.ways[TOGETHER].mean > together.ways[FULL_TEXT].mean
    assert BRIDGE in together.ways
    limit = (alone.high + together.best.high) / 2
    runbook = down(GONE, "rescue.pairs=0", f"rescue.min_quality={limit}")
    refused = RescueRun(runbook)
    assert "below its limit" in refused.start().refused
    with pytest.raises(GateError, match="not deployed: the rescued search can reach"):
        refused.deploy()
    assert runbook.app.serving() is None
    enough = RescueRun(down(GONE, "rescue.pairs=120", f"rescue.min_quality={limit}"))
    assert enough.start().refused == "no"
    assert enough.deploy().revision.model == runbook.plan.new.model
    bought = enough.ask().bought
    assert bought[0] > bought[1] == 0


def test_a_column_that_is_filled_brings_the_app_back_whatever_full_text_reaches(down):
    """The rescue was refused, said to fill the column, and nothing else could switch the app: there
    is no verdict without the old model."""
    refused = RescueRun(down(GONE, "rescue.pairs=0", "rescue.min_quality=1"))
    assert "below its limit" in refused.start().refused
    runbook = refused.runbook
    list(run_backfill(runbook.migration, runbook.new_embedder))
    assert needs_rescue(runbook)
    rescue = RescueRun(runbook)
    rescue.diagnose()
    assert rescue.start().refused == "no"
    assert "the new column is filled" in rescue.outlook()
    rescue.deploy()
    index.build(runbook.migration)
    answer = httpx.post(runbook.app.url, json={"name": "restaurants"}, timeout=30)
    assert answer.status_code == 200
    assert states(runbook)[-1] == NATIVE


def test_no_rescue_takes_the_place_of_a_verdict(down):
    runbook = down("rescue.anyway=true")
    runbook.app.promote(runbook.app.stage(runbook.plan.old.model))
    expand(runbook.migration)
    list(run_backfill(runbook.migration, runbook.new_embedder))
    with pytest.raises(PhaseError, match=r"the new column is filled. Compare both, and cut over"):
        RescueRun(runbook).diagnose()


def test_questions_that_cannot_be_used_keep_no_app_down(down, tmp_path, caplog):
    """Judgements of another table."""
    qrels = tmp_path / "others.tsv"
    qrels.write_text("query-id\tcorpus-id\tscore\n")
    known = "evaluation.questions=known-items", "evaluation.qrels="
    runbook = down(GONE, "rescue.pairs=0", *known)
    wrong = down(GONE, "rescue.pairs=0", f"evaluation.qrels={qrels}")
    for each in (runbook, wrong):
        rescue = RescueRun(each)
        assert rescue.start().refused == "no"
        assert rescue.quality.is_proxy
    assert "the questions of the plan are not used" in caplog.text
    assert rescue.deploy().revision.model == wrong.plan.new.model
    assert rescue.ask().asked


def test_an_app_that_answers_is_left_alone_unless_that_is_wanted(down):
    runbook = down()
    runbook.app.promote(runbook.app.stage(runbook.plan.old.model))
    with pytest.raises(PhaseError, match="there is nothing to rescue: the app answers by"):
        RescueRun(runbook).diagnose()
    assert not needs_rescue(runbook)
    assert RescueRun(down("rescue.anyway=true")).diagnose().serving == runbook.plan.old.model
    assert RescueRun(runbook, anyway=True).diagnose().serving == runbook.plan.old.model

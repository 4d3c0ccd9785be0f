from dataclasses import replace

import pytest

from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.evaluation.rescued.gate import RescueGate, refuse
from ragkit.evaluation.rescued.quality import FULL_TEXT, Quality
from ragkit.evaluation.rescued.questions import choose_questions
from ragkit.migration.backfill.pipeline import run_backfill
from tests.conftest import with_plan


def quality(low, mean, high):
    return Quality(50, 10, 20, {FULL_TEXT: Interval(mean, low, high)}, is_proxy=False)


class TestTheGate:
    def test_it_forbids_what_is_below_its_limit_for_sure(self):
        reason = refuse(quality(0.1, 0.15, 0.2), 0.3)
        assert reason == (
            "the rescued search can reach an nDCG@10 of 0.150 (0.100 to 0.200) at best, with 20 "
            "candidates of 50 judged questions: below its limit of 0.3"
        )

    @pytest.mark.parametrize("known", [None, quality(0.1, 0.2, 0.4), quality(0.5, 0.6, 0.7)])
    def test_it_forbids_nothing_else(self, known):
        assert not refuse(known, 0.3)

    def test_no_limit_forbids_nothing(self):
        assert not refuse(quality(0, 0, 0), 0.0)


@pytest.mark.parametrize(("limit", "says"), [(0.0, ""), (1.0, "below its limit of 1")])
def test_the_plan_has_the_limit(rescued, rescue_plan, judged, new_embedder, limit, says):
    """Their words are in no row."""
    strange = replace(judged, texts={"q1": "xylophone", "q2": "xylophone", "q3": "trombone"})
    limited = with_plan(rescued, {"rescue.min_quality": limit})
    gate = RescueGate(limited, lambda: strange, new_embedder)
    assert gate.measure(None) is gate.quality is None
    reason = gate.judge(rescue_plan, None)
    assert reason.endswith(says)
    assert bool(reason) == bool(says)
    assert gate.measure(None) == gate.quality


def test_the_last_judgement_stays_when_no_question_is_left(rescued, rescue_plan, new_embedder):
    """Questions of rows, all of which have their vector then."""
    gate = RescueGate(rescued, lambda: choose_questions(rescued, None), new_embedder)
    gate.judge(rescue_plan, None)
    judged = gate.quality
    list(run_backfill(rescued, new_embedder))
    assert gate.measure(None) is None
    assert not gate.judge(rescue_plan, None)
    assert gate.quality == judged

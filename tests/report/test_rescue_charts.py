from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ragkit.evaluation.bridge.cross_validation import CrossValidation
from ragkit.evaluation.bridge.sample import Fitting
from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.evaluation.rescued.quality import BRIDGE, FULL_TEXT, TOGETHER, Quality, Step
from ragkit.migration.rescue.service_log import DOWN, NATIVE, RESCUED, ServiceState
from ragkit.report.rescue_charts import quality_by_pairs, service_over_time
from ragkit.report.style import title_of
from ragkit.retrieval.rescue.candidates.bridge import Bridge

BEGAN = datetime(2026, 11, 27, 4, 0, tzinfo=UTC)
BOUNDS = Interval(0.5, 0.4, 0.6)


def step(pairs, ways, refused=None):
    result = CrossValidation(pairs, refused, "ridge", 1.0, BOUNDS)
    bridge = None if refused else Bridge("ridge", pairs, np.eye(2, dtype=np.float32))
    quality = Quality(100, 10, 20, ways, is_proxy=False) if ways else None
    return Step(Fitting(pairs, 0, result, bridge, ""), quality)


def ways(together):
    return {FULL_TEXT: BOUNDS, BRIDGE: BOUNDS, TOGETHER: Interval(together, 0.5, 0.9)}


def test_the_title_is_the_quality_with_all_pairs():
    steps = [step(26, {FULL_TEXT: BOUNDS}, "too few"), step(50, ways(0.6)), step(100, ways(0.7))]
    figure = quality_by_pairs(steps)
    assert "reach an nDCG@10 of 0.70 (0.50 to 0.90), by 100 judged questions" in title_of(figure)
    by_label = {line.get_label(): list(line.get_xdata()) for line in figure.axes[0].lines}
    assert by_label["full text 0.50"] == [26, 50, 100]
    assert by_label["together 0.70"] == [50, 100]


def test_a_bridge_that_is_refused_is_a_sentence():
    said = quality_by_pairs([step(26, {FULL_TEXT: BOUNDS}, "the overlap is that of chance")])
    assert said.startswith("Full text serves alone: the overlap is that of chance. It can reach")


@pytest.mark.parametrize("steps", [[], [step(26, {})]])
def test_without_a_figure_there_is_no_chart(steps):
    assert quality_by_pairs(steps) is None


def states(*seconds):
    return [
        ServiceState(state, BEGAN + timedelta(seconds=after))
        for state, after in zip((DOWN, RESCUED, NATIVE), seconds, strict=False)
    ]


def test_the_service_over_time_is_told_in_its_title():
    figure = service_over_time(states(0, 41, 200), BEGAN + timedelta(seconds=260))
    assert (
        title_of(figure)
        == "Down for 41 seconds, rescued for 2 minutes and 39 seconds, native since"
    )
    axes = figure.axes[0]
    assert axes.get_xlabel() == "minutes since the rescue began"
    assert [text.get_text() for text in axes.get_yticklabels()] == [DOWN, RESCUED, NATIVE]
    widths = [round(bar.get_width() * 60) for bar in axes.patches]
    assert widths == [41, 159, 60]


def test_a_service_that_is_down_still_has_one_bar():
    figure = service_over_time(states(0), BEGAN + timedelta(seconds=5))
    assert title_of(figure) == "Down since"
    assert len(figure.axes[0].patches) == 1


def test_a_state_that_has_just_begun_is_seen():
    figure = service_over_time(states(0, 99, 100), BEGAN + timedelta(seconds=100))
    assert figure.axes[0].patches[-1].get_width() > 0


def test_without_a_rescue_there_is_no_chart_of_the_service():
    assert service_over_time([]) is None

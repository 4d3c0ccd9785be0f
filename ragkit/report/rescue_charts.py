"""Charts of a rescue: what the bridge adds to full text, and the service over time."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from humanize import precisedelta

from ragkit.evaluation.rescued.quality import BRIDGE, FULL_TEXT, TOGETHER, Step
from ragkit.migration.rescue.service_log import DOWN, NATIVE, OLD, RESCUED, ServiceState
from ragkit.report.style import GAIN, LOSS, NEW, OPEN, new_figure, plain, set_title
from ragkit.report.style import OLD as GREY

if TYPE_CHECKING:  # notebook 02 shows one only after a rescue
    from matplotlib.figure import Figure

COLOURS = {FULL_TEXT: GREY, BRIDGE: OPEN, TOGETHER: NEW}
STATES = {DOWN: LOSS, OLD: GREY, RESCUED: OPEN, NATIVE: GAIN}
MIN_SHARE = 0.01
"""Of the width, so that a state that has just begun is seen."""
UNITS = ((86_400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))
"""In seconds; the largest of which there are two is the axis's."""


def quality_by_pairs(steps: Sequence[Step]) -> "Figure | str | None":
    """The candidates' quality by way over the pairs that the bridge was fitted on; a sentence where
    no bridge was good enough."""
    known = [step for step in steps if step.quality]
    if not steps or not known or not known[-1].quality:
        return None
    last = known[-1].quality
    with_bridge = [step for step in known if step.quality and BRIDGE in step.quality.ways]
    if not with_bridge:
        return f"Full text serves alone: {steps[-1].fitting.result.refused}. It can reach {last}."
    figure = new_figure(3.3)
    axes = figure.subplots()
    for way, colour in COLOURS.items():
        at = [
            (step.fitting.result.pairs, step.quality.ways[way])
            for step in known if step.quality and way in step.quality.ways
        ]  # fmt: skip
        pairs = [each for each, _ in at]
        axes.fill_between(
            pairs, [i.low for _, i in at], [i.high for _, i in at], color=colour, alpha=0.15, lw=0
        )
        means = [i.mean for _, i in at]
        axes.plot(pairs, means, color=colour, marker="o", label=f"{way} {means[-1]:.2f}")
    axes.set(xlabel="rows that have both vectors", ylabel=f"best nDCG@{last.k}", ylim=(0, 1.02))
    figure.legend(loc="outside lower left", frameon=False, fontsize=9, ncols=3)
    set_title(
        figure,
        f"With {last.depth} candidates a question, the answers can reach an nDCG@{last.k} of "
        f"{last.best.mean:.2f} ({last.best.bounds(2)}), by {last.questions} {last.source}",
    )
    return plain(figure)


def service_over_time(
    states: Sequence[ServiceState], now: datetime | None = None
) -> "Figure | None":
    """What the app's users got, and for how long, until `now`; None without a rescue."""
    if not states:
        return None
    now = now or datetime.now(UTC)
    ends = [*(state.since for state in states[1:]), now]
    begin = states[0].since
    total = (now - begin).total_seconds()
    size, unit = next((u for u in UNITS if total >= 2 * u[0]), UNITS[-1])
    names = [name for name in STATES if name in {state.state for state in states}]
    figure = new_figure(0.4 * len(names) + 1.4)
    axes = figure.subplots()
    for state, end in zip(states, ends, strict=True):
        left, width = (state.since - begin).total_seconds(), (end - state.since).total_seconds()
        height, width = names.index(state.state), max(width, MIN_SHARE * total)
        axes.barh(height, width / size, 0.6, left=left / size, color=STATES[state.state])
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(f"{unit} since the rescue began")
    spans = [
        f"{state.state} for {precisedelta(end - state.since, format='%.0f')}"
        for state, end in zip(states[:-1], ends, strict=False)
    ]
    sentence = ", ".join([*spans, f"{states[-1].state} since"])
    set_title(figure, sentence[0].upper() + sentence[1:])
    return plain(figure)

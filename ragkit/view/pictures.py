"""Pictures of a whole run: the gate table and the probe's timeline."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from ragkit.app.probe import Summary
from ragkit.migration.verdict import Verdict
from ragkit.view.style import INK, LOSS, NEW, OLD, RESULT, plain, plain_log


def gate_table(verdict: Verdict) -> Figure:
    """The gates as a picture, for a README or a chat."""
    figure = Figure(figsize=(10, 0.28 * len(verdict.gates) + 0.75), layout="constrained")
    axes = figure.subplots()
    axes.axis("off")
    axes.set_title(f"Verdict: {verdict.verdict}", loc="left", fontweight="bold", color=INK)
    rows = [[g.name, g.observed, g.limit, RESULT[g.passed][0]] for g in verdict.gates]
    table = axes.table(
        rows, colLabels=["gate", "observed", "limit", ""], loc="upper left",
        colLoc="left", cellLoc="left",
        colWidths=[0.31, 0.45, 0.12, 0.12], edges="horizontal",
    )  # fmt: skip
    table.auto_set_font_size(False)
    table.set_fontsize(10)
    table.scale(1, 1.5)
    for (row, column), cell in table.get_celld().items():
        cell.set_edgecolor("#dddddd")
        if row == 0:
            cell.set_text_props(color=OLD)
        elif column == 3:
            cell.set_text_props(color=RESULT[verdict.gates[row - 1].passed][1], fontweight="bold")
    return figure


def timeline(
    requests: pd.DataFrame, summary: Summary, phases: Sequence[tuple[str, float, float]], old: str
) -> Figure:
    """Latency of every request of the probe over time; `phases` are (name, start, end)."""
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    axes = figure.subplots()
    start = requests["due"].min()
    good = requests["error"].isna()
    for model in requests.loc[good, "model"].unique():
        own = requests[good & (requests["model"] == model)]
        colour = OLD if model == old else NEW
        axes.scatter(own["due"] - start, own["ms"], s=5, color=colour, label=f"served by {model}")
    bad = requests[~good]
    if len(bad):
        axes.scatter(bad["due"] - start, bad["ms"], s=30, color=LOSS, marker="x", label="failed")
    axes.set_yscale("log")
    spans = [(name, max(begin - start, 0), end - start) for name, begin, end in phases]
    for number, (name, begin, end) in enumerate(spans):
        if end <= 0:
            continue
        axes.axvspan(begin, end, color="#eef2f6" if number % 2 else "#dde5ee", zorder=0, lw=0)
        axes.text(
            (begin + end) / 2, 1.01, name, transform=axes.get_xaxis_transform(),
            ha="center", va="bottom", fontsize=8, color=INK,
        )  # fmt: skip
    axes.set_title(
        f"{summary.requests} requests through the whole migration, {summary.failed} failed; "
        f"p95 {summary.p95_ms:.0f} ms, longest gap {summary.longest_gap_ms:.0f} ms",
        pad=18, fontsize=11,
    )  # fmt: skip
    axes.set(xlabel="seconds", ylabel="latency in ms, log scale")
    plain_log(axes.yaxis)
    axes.legend(loc="upper right", frameon=True, fontsize=8, markerscale=2)
    return plain(figure)

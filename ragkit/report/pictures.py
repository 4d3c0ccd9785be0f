"""Pictures of a whole run: the gate table and the timeline of the probe."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from ragkit.deploy.probe import Summary
from ragkit.migration.verdict import Verdict
from ragkit.report.style import INK, LOSS, NEW, OLD, RESULT, plain, plain_log, set_title

HEADINGS = ["gate", "observed", "limit", ""]
WIDTHS = [0.27, 0.45, 0.16, 0.12]
"""Shares of the table's width."""
WIDE, NARROW = 8.0, 4.4
"""Widths of the timeline, in inches: for a page, and for a telephone's."""
LABEL_INCHES = 0.09
"""Room for a letter of a phase's name."""


def gate_table(verdict: Verdict) -> Figure:
    """The gates as a picture, for a README or a chat."""
    figure = Figure(figsize=(8.6, 0.28 * len(verdict.gates) + 0.75), layout="constrained")
    axes = figure.subplots()
    axes.axis("off")
    axes.set_title(f"Verdict: {verdict.verdict}", loc="left", fontweight="bold", color=INK)
    rows = [
        [gate.name, gate.observed, gate.limit, RESULT[gate.passed][0]] for gate in verdict.gates
    ]
    table = axes.table(
        rows, colLabels=HEADINGS, colWidths=WIDTHS, loc="upper left", colLoc="left",
        cellLoc="left", edges="horizontal",
    )  # fmt: skip
    table.auto_set_font_size(False)
    table.set_fontsize(10)
    table.scale(1, 1.5)
    for (row, column), cell in table.get_celld().items():
        cell.set_edgecolor("#dddddd")
        if row == 0:
            cell.set_text_props(color=OLD)
        elif column == len(HEADINGS) - 1:
            _, colour = RESULT[verdict.gates[row - 1].passed]
            cell.set_text_props(color=colour, fontweight="bold")
    return figure


def timeline(
    requests: pd.DataFrame,
    summary: Summary,
    phases: Sequence[tuple[str, float, float]],
    old_model: str,
    width: float = WIDE,
) -> Figure:
    """The latency of every request of the probe over time; `width` in inches.

    `requests` are those of `probe.read`; `phases` are (name, start, end) in UNIX seconds, and
    those that end before the first request are left out.
    """
    figure = Figure(figsize=(width, 3.9), layout="constrained")
    axes = figure.subplots()
    start = requests["due"].min()
    seconds = max([float(requests["due"].max() - start), *(end - start for _, _, end in phases)])
    failed = requests[requests["error"].notna()]
    good = requests[requests["error"].isna()]
    for model, answered in good.groupby(good["model"].fillna(""), sort=False):
        colour = OLD if model == old_model else NEW
        label = f"served by {model}" if model else "answered"
        axes.scatter(answered["due"] - start, answered["ms"], s=5, color=colour, label=label)
    if len(failed):
        due = failed["due"] - start
        axes.scatter(due, failed["ms"], s=30, color=LOSS, marker="x", label="failed")
    axes.set_yscale("log")
    for number, (name, phase_start, phase_end) in enumerate(phases):
        left, right = max(phase_start - start, 0), phase_end - start
        if right <= 0:
            continue
        axes.axvspan(left, right, color="#eef2f6" if number % 2 else "#dde5ee", zorder=0, lw=0)
        axes.text(
            (left + right) / 2, 1.01, _phase_label(name, (right - left) / seconds * width),
            transform=axes.get_xaxis_transform(), ha="center", va="bottom", fontsize=8, color=INK,
        )  # fmt: skip
    set_title(
        figure,
        f"{summary.requests} requests through the whole migration, {summary.failed} failed; "
        f"p95 {summary.p95_ms:.0f} ms, longest gap {summary.longest_gap_ms:.0f} ms",
    )
    axes.set(xlabel="seconds", ylabel="latency in ms, log scale")
    plain_log(axes.yaxis)
    figure.legend(loc="outside lower left", frameon=False, fontsize=9, markerscale=2)
    return plain(figure)


def _phase_label(name: str, inches: float) -> str:
    """As much of a notebook's name as fits: the number at least, if that fits."""
    room = int(inches / LABEL_INCHES)
    number = name.partition("_")[0]
    return name if len(name) <= room else number if len(number) <= room else ""

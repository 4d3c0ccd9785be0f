"""The picture of a proof: every read and write over time, with phases and faults."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from ragkit.report.style import INK, LOSS, NEW, OLD, plain, plain_log
from tests.chaos import environment
from tests.chaos.proof import Proof


def draw_timeline(target: Path, reads: pd.DataFrame, writes: pd.DataFrame, proof: Proof) -> None:
    start = reads["due"].min()
    figure = Figure(figsize=(11, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    colours = [OLD if model == environment.OLD else NEW for model in reads["model"]]
    upper.scatter(reads["due"] - start, reads["ms"], s=3, c=colours)
    lower.scatter(writes["at"] - start, writes["ms"], s=3, color=INK)
    for number, (name, (phase_start, end)) in enumerate(proof.phases.items()):
        for axes in (upper, lower):
            shade = "#eef2f6" if number % 2 else "#dde5ee"
            axes.axvspan(phase_start - start, end - start, color=shade, zorder=0, lw=0)
        middle = (max(phase_start, start) + end) / 2 - start
        if end > start:
            upper.text(middle, 1.02, name, transform=upper.get_xaxis_transform(), ha="center")
    for fault in proof.faults:
        for axes in (upper, lower):
            axes.axvline(fault["at"] - start, color=LOSS, linewidth=1)
    upper.set(ylabel="request, ms", yscale="log", xlim=(0, None))
    lower.set(ylabel="write, ms", yscale="log", xlabel="seconds")
    for axes in (upper, lower):
        plain_log(axes.yaxis)
    figure.suptitle(
        f"{len(reads)} requests and {len(writes)} writes through {len(proof.faults)} faults"
    )
    plain(figure).savefig(target, dpi=90)

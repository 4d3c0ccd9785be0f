"""The picture of a proof: every read and write over time, phases shaded, faults marked."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from ragkit.view.style import INK, LOSS, NEW, OLD, plain, plain_log
from tests.chaos.proof import Proof
from tests.chaos.world import OLD as OLD_MODEL


def draw(target: Path, reads: pd.DataFrame, writes: pd.DataFrame, proof: Proof) -> None:
    start = reads["due"].min()
    figure = Figure(figsize=(11, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    colours = [OLD if model == OLD_MODEL else NEW for model in reads["model"]]
    above.scatter(reads["due"] - start, reads["ms"], s=3, c=colours)
    below.scatter(writes["at"] - start, writes["ms"], s=3, color=INK)
    for number, (name, (begin, end)) in enumerate(proof.phases.items()):
        for axes in (above, below):
            shade = "#eef2f6" if number % 2 else "#dde5ee"
            axes.axvspan(begin - start, end - start, color=shade, zorder=0, lw=0)
        middle = (max(begin, start) + end) / 2 - start
        if end > start:
            above.text(middle, 1.02, name, transform=above.get_xaxis_transform(), ha="center")
    for fault in proof.faults:
        for axes in (above, below):
            axes.axvline(fault["at"] - start, color=LOSS, linewidth=1)
    above.set(ylabel="a request, ms", yscale="log", xlim=(0, None))
    below.set(ylabel="a write, ms", yscale="log", xlabel="seconds")
    for axes in (above, below):
        plain_log(axes.yaxis)
    figure.suptitle(
        f"{len(reads)} requests and {len(writes)} writes through {len(proof.faults)} faults"
    )
    plain(figure).savefig(target, dpi=90)

"""Charts of stored vectors: neighbourhoods, cut-offs, the index; a title says what to see."""

import numpy as np
from matplotlib.figure import Figure

from ragkit.comparison.cutoff import BINS, Cutoff
from ragkit.comparison.index_share import Point
from ragkit.comparison.neighbours import Neighbourhoods
from ragkit.view.style import INK, NEW, OLD, plain, plain_log

WIDE = 20
"""Times further apart than that are drawn on a log scale."""


def neighbour_histogram(near: Neighbourhoods) -> Figure:
    k, mean = near.k, near.overlap.mean
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.hist(near.by_row, bins=(np.arange(k + 2) - 0.5) / k, color=NEW, edgecolor="white")
    axes.axvline(mean, color=INK, linestyle="--", linewidth=1)
    axes.set_title(f"A row keeps {mean:.0%} of its {k} nearest rows: different, not worse")
    axes.set(xlabel=f"nearest {k} rows kept", ylabel="rows", xlim=(-0.5 / k, 1 + 0.5 / k))
    return plain(figure)


def cutoffs(found: Cutoff) -> Figure:
    """Both spaces' distances with their cut-offs, one above the other."""
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    ends = float(min(found.before.min(), found.after.min())), 1.0
    bins = np.linspace(ends[0], max(ends[1], found.before.max(), found.after.max()), BINS)
    sides = (
        (found.before, found.old, OLD, "old space"),
        (found.after, found.new.mean, NEW, "new space"),
    )
    for axes, (values, at, colour, name) in zip(
        figure.subplots(2, 1, sharex=True), sides, strict=True
    ):
        axes.hist(values, bins=bins, color=colour, density=True)
        axes.axvline(at, color=INK, linewidth=1)
        axes.annotate(
            f" {at:.3f}", (at, 1.0), xycoords=("data", "axes fraction"), va="top", fontsize=9
        )
        if colour == NEW and found.recalled:
            kept = found.recalled
            axes.axvline(kept.new.mean, color=INK, linewidth=1, linestyle=":")
            axes.annotate(
                f"{kept.new.mean:.3f}: as many relevant rows ({kept.recall:.0%}) ",
                (kept.new.mean, 0.8), xycoords=("data", "axes fraction"), va="top", ha="right",
                fontsize=9,
            )  # fmt: skip
        axes.set(ylabel=name, yticks=[])
    axes.set_xlabel("cosine distance of two rows")
    bounds = f"{found.new.low:.3f} to {found.new.high:.3f}"
    figure.suptitle(
        f"A cut-off of {found.old:g} lets {100 * found.selectivity:.3g}% of the pairs through; "
        f"in the new space {found.new.mean:.3f} does ({bounds})",
        fontsize=10,
    )
    return plain(figure)


def recall_latency(points: list[Point]) -> Figure | None:
    """Recall over time for both columns: up and left is better. None without an index."""
    default = next((p for p in points if p.side == "new" and p.default), None)
    if default is None or default.setting == "exact":
        return None
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    for side, colour, above in (("old", OLD, -1), ("new", NEW, 1)):
        exact, *curve = [point for point in points if point.side == side] or [None]
        if exact is None:
            continue
        name = f"{side}, {exact.column}"
        axes.plot(exact.p50_ms, 1.0, "D", color=colour, mfc="white", label=f"{name}: exact search")
        if not curve:
            continue
        axes.plot(
            [p.p50_ms for p in curve], [p.recall.mean for p in curve], "o-", color=colour,
            label=f"{name}: {curve[0].setting.partition(' ')[0]}",
        )  # fmt: skip
        for number, point in enumerate(sorted(curve, key=lambda p: p.p50_ms)):
            axes.annotate(
                point.setting.rpartition(" ")[2], (point.p50_ms, point.recall.mean),
                xytext=(0, (6 + 9 * (number % 3)) * above), textcoords="offset points", ha="center",
                va="bottom" if above > 0 else "top", fontsize=8, color=colour,
                fontweight="bold" if point.default else "normal",
            )  # fmt: skip
    times = [point.p50_ms for point in points]
    if max(times) > WIDE * min(times):
        axes.set_xscale("log")
        plain_log(axes.xaxis)
    else:
        axes.set_xlim(0, 1.1 * max(times))
    lowest = min(min(point.recall.mean for point in points) - 0.02, 0.9)
    axes.set_ylim(lowest, 1 + 0.25 * (1 - lowest))
    axes.set_yticks([tick for tick in axes.get_yticks() if lowest <= tick <= 1])
    axes.set(xlabel="ms of a search, median", ylabel="recall of exact search")
    axes.set_title(
        f"At {default.setting} the new index finds {default.recall.mean:.1%} "
        "of what exact search finds", fontsize=11,
    )  # fmt: skip
    axes.legend(loc="lower right", frameon=False, fontsize=8)
    return plain(figure)

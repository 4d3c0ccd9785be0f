"""Charts of stored vectors: neighbourhoods, cut-offs, the index. A title says what to see."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ragkit.evaluation.cutoff import CutoffCalibration, RecallCutoff
from ragkit.evaluation.label_free.index_recall import IndexMeasurement
from ragkit.evaluation.label_free.neighbours import Neighbourhoods
from ragkit.report.style import INK, NEW, OLD, plain, plain_log, share_bins

MAX_LINEAR_RATIO = 20
"""Search times with a larger ratio are drawn on a log scale."""
BINS = 60
"""Of the histograms of distances."""


def neighbour_histogram(neighbourhoods: Neighbourhoods) -> Figure:
    """How many of its nearest rows a row keeps."""
    k, mean = neighbourhoods.k, neighbourhoods.overlap.mean
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.hist(neighbourhoods.by_row, bins=share_bins(k), color=NEW, edgecolor="white")
    axes.axvline(mean, color=INK, linestyle="--", linewidth=1)
    axes.set_title(f"A row keeps {mean:.0%} of its {k} nearest rows: different, not worse")
    axes.set(xlabel=f"nearest {k} rows kept", ylabel="rows", xlim=(-0.5 / k, 1 + 0.5 / k))
    return plain(figure)


def cutoffs(calibration: CutoffCalibration) -> Figure:
    """The distances in both spaces with their cut-offs, one above the other."""
    old, new = calibration.old_distances, calibration.new_distances
    ends = min(old.min(), new.min()), max(1.0, old.max(), new.max())
    bins = np.linspace(*ends, BINS).tolist()
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    old_axes, new_axes = figure.subplots(2, 1, sharex=True)
    _distance_histogram(old_axes, old, bins, calibration.old, OLD, "old space")
    _distance_histogram(new_axes, new, bins, calibration.new.mean, NEW, "new space")
    if calibration.by_recall:
        _mark_recall_cutoff(new_axes, calibration.by_recall)
    new_axes.set_xlabel("cosine distance of two rows")
    figure.suptitle(
        f"A cut-off of {calibration.old:g} lets {100 * calibration.selectivity:.3g}% of the pairs "
        f"through; in the new space {calibration.new.mean:.3f} does ({calibration.new.bounds()})",
        fontsize=10,
    )
    return plain(figure)


def recall_latency(measurements: list[IndexMeasurement]) -> Figure | None:
    """Recall over search time for both columns: up and left is better. None without an index."""
    new_default = next((m for m in measurements if m.side == "new" and m.default), None)
    if new_default is None or new_default.setting == "exact":
        return None
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    for side, colour, label_side in (("old", OLD, -1), ("new", NEW, 1)):
        of_side = [m for m in measurements if m.side == side]
        if of_side:
            _recall_curve(axes, of_side, colour, label_side)
    times = [m.p50_ms for m in measurements]
    if max(times) > MAX_LINEAR_RATIO * min(times):
        axes.set_xscale("log")
        plain_log(axes.xaxis)
    else:
        axes.set_xlim(0, 1.1 * max(times))
    lowest = min(min(m.recall.mean for m in measurements) - 0.02, 0.9)
    axes.set_ylim(lowest, 1 + 0.25 * (1 - lowest))
    axes.set_yticks([tick for tick in axes.get_yticks() if lowest <= tick <= 1])
    axes.set(xlabel="ms of a search, median", ylabel="recall of exact search")
    axes.set_title(
        f"At {new_default.setting} the new index finds {new_default.recall.mean:.1%} "
        "of what exact search finds", fontsize=11,
    )  # fmt: skip
    axes.legend(loc="lower right", frameon=False, fontsize=8)
    return plain(figure)


def _distance_histogram(
    axes: Axes, distances: np.ndarray, bins: list[float], cutoff: float, colour: str, name: str
) -> None:
    axes.hist(distances, bins=bins, color=colour, density=True)
    axes.axvline(cutoff, color=INK, linewidth=1)
    axes.annotate(
        f" {cutoff:.3f}", (cutoff, 1.0), xycoords=("data", "axes fraction"), va="top", fontsize=9
    )
    axes.set(ylabel=name, yticks=[])


def _mark_recall_cutoff(axes: Axes, by_recall: RecallCutoff) -> None:
    cutoff = by_recall.new.mean
    axes.axvline(cutoff, color=INK, linewidth=1, linestyle=":")
    axes.annotate(
        f"{cutoff:.3f}: as many relevant rows ({by_recall.recall:.0%}) ", (cutoff, 0.8),
        xycoords=("data", "axes fraction"), va="top", ha="right", fontsize=9,
    )  # fmt: skip


def _recall_curve(
    axes: Axes, measurements: list[IndexMeasurement], colour: str, label_side: int
) -> None:
    """Exact search as a diamond, the index as a curve with the setting at each point.

    The settings stand above the curve (`label_side` 1) or below it (-1).
    """
    exact, *indexed = measurements
    name = f"{exact.side}, {exact.column}"
    axes.plot(exact.p50_ms, 1.0, "D", color=colour, mfc="white", label=f"{name}: exact search")
    if not indexed:
        return
    axes.plot(
        [m.p50_ms for m in indexed], [m.recall.mean for m in indexed], "o-", color=colour,
        label=f"{name}: {indexed[0].setting.partition(' ')[0]}",
    )  # fmt: skip
    for number, measurement in enumerate(sorted(indexed, key=lambda m: m.p50_ms)):
        axes.annotate(
            measurement.setting.rpartition(" ")[2], (measurement.p50_ms, measurement.recall.mean),
            xytext=(0, (6 + 9 * (number % 3)) * label_side), textcoords="offset points",
            ha="center", va="bottom" if label_side > 0 else "top", fontsize=8, color=colour,
            fontweight="bold" if measurement.default else "normal",
        )  # fmt: skip

"""Charts of stored vectors: neighbourhoods, cut-offs, the index. A title says what to see."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ragkit.evaluation.cutoff import CutoffCalibration
from ragkit.evaluation.index.recall import IndexMeasurement
from ragkit.evaluation.label_free.neighbours import Neighbourhoods
from ragkit.evaluation.metrics.rank_overlap import least_overlap
from ragkit.report.style import INK, NEW, OLD, new_figure, plain, plain_log, set_title, share_bins

MAX_LINEAR_RATIO = 20
"""Search times with a larger ratio are drawn on a log scale."""
FULL_RECALL = 0.9995
"""Recall that is 1.000 in every figure."""
BINS = 60
"""Of the histograms of distances."""


def neighbour_histogram(neighbourhoods: Neighbourhoods) -> Figure | str:
    """How many of its nearest rows a row keeps; a sentence where the table is too small for that
    to tell anything."""
    k, mean = neighbourhoods.k, neighbourhoods.overlap.mean
    if least := least_overlap(k, neighbourhoods.rows - 1):
        return (
            f"No chart of the nearest rows that a row keeps: of {neighbourhoods.rows} rows it "
            f"keeps at least {least:.0%} of its {k} nearest, whatever the models."
        )
    figure = new_figure(2.9)
    axes = figure.subplots()
    axes.hist(neighbourhoods.by_row, bins=share_bins(k), color=NEW, edgecolor="white")
    axes.axvline(mean, color=INK, linestyle="--", linewidth=1)
    set_title(figure, f"A row keeps {mean:.0%} of its {k} nearest rows: different, not worse")
    axes.set(xlabel=f"nearest {k} rows kept", ylabel="rows", xlim=(-0.5 / k, 1 + 0.5 / k))
    return plain(figure)


def cutoffs(calibration: CutoffCalibration) -> Figure:
    """How far a question's first row lies in both spaces, with their cut-offs, one above the
    other. What lies beyond is an empty answer."""
    old, new = calibration.old_nearest, calibration.new_nearest
    old, new = old[np.isfinite(old)], new[np.isfinite(new)]
    limits = calibration.old, calibration.new.mean
    ends = min(old.min(), new.min(), *limits), max(old.max(), new.max(), *limits)
    bins = np.linspace(*ends, BINS).tolist()
    figure = new_figure(3.8)
    old_axes, new_axes = figure.subplots(2, 1, sharex=True)
    _distance_histogram(old_axes, old, bins, limits[0], OLD, "old space")
    _distance_histogram(new_axes, new, bins, limits[1], NEW, "new space")
    new_axes.set_xlabel("cosine distance from a question to its nearest row")
    set_title(
        figure,
        f"Beyond {limits[0]:g}, {calibration.with_old.empty:.1%} of the questions find nothing; in "
        f"the new space {limits[1]:.3f} does the same ({calibration.new.bounds()})",
    )
    return plain(figure)


def recall_latency(measurements: list[IndexMeasurement]) -> Figure | str | None:
    """Recall over search time for both columns: up and left is better. A sentence where every
    setting finds everything; None without an index."""
    new_default = next((m for m in measurements if m.side == "new" and m.default), None)
    if new_default is None or new_default.setting == "exact":
        return None
    if all(m.recall.mean >= FULL_RECALL for m in measurements):
        return _full_recall([m for m in measurements if m.setting != "exact"])
    figure = new_figure(3.8)
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
    set_title(
        figure,
        f"At {new_default.setting} the new index finds {new_default.recall.mean:.1%} "
        "of what exact search finds",
    )
    figure.legend(loc="outside lower left", frameon=False, fontsize=9)
    return plain(figure)


def _full_recall(indexed: list[IndexMeasurement]) -> str:
    lowest = min(m.recall.mean for m in indexed)
    times = [m.p50_ms for m in indexed]
    settings = ", ".join(dict.fromkeys(m.setting.rpartition(" ")[2] for m in indexed))
    return (
        f"The index finds what exact search finds at every setting "
        f"({indexed[0].setting.partition(' ')[0]} {settings}): recall is at least {lowest:.3f}, "
        f"and a search takes {min(times):.1f} to {max(times):.1f} ms (median)."
    )


def _distance_histogram(
    axes: Axes, distances: np.ndarray, bins: list[float], cutoff: float, colour: str, name: str
) -> None:
    axes.hist(distances, bins=bins, color=colour, density=True)
    axes.axvline(cutoff, color=INK, linewidth=1)
    axes.annotate(
        f" {cutoff:.3f}", (cutoff, 1.0), xycoords=("data", "axes fraction"), va="top", fontsize=9
    )
    axes.set(ylabel=name, yticks=[])


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

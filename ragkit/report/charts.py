"""Charts of the questions of a comparison. A title says what to see."""

import numpy as np
from matplotlib.figure import Figure

from ragkit.evaluation.comparison import Comparison
from ragkit.evaluation.evidence import Evidence
from ragkit.evaluation.hybrid.measure import WEIGHTS, Hybrid
from ragkit.evaluation.metrics import trec
from ragkit.report.style import (
    GAIN,
    INK,
    LOSS,
    NEW,
    OLD,
    new_figure,
    plain,
    plain_log,
    set_title,
    share_bins,
)

LABEL_CHARACTERS = 20
"""Of the name of a slice."""


def overlap_histogram(evidence: Evidence) -> Figure | str | None:
    """How many of the first k rows the models share. A sentence where that has one value for all
    questions, or where the table is too small for it to tell anything; None without questions."""
    if (comparison := evidence.comparison) is None:
        return None
    k, overlap = comparison.k, comparison.overlap
    if evidence.least_overlap:
        return (
            f"No chart of the rows that both models share: the table has so few rows that the "
            f"first {k} of any two models share at least {evidence.least_overlap:.0%}."
        )
    if overlap.nunique() == 1:
        return f"For every question the models share {overlap.iloc[0]:.0%} of their first {k} rows."
    figure = new_figure(2.9)
    axes = figure.subplots()
    axes.hist(overlap, bins=share_bins(k), color=NEW, edgecolor="white")
    axes.axvline(overlap.mean(), color=INK, linestyle="--", linewidth=1)
    set_title(
        figure,
        f"The models share {overlap.mean():.0%} of their first {k} rows: different, not worse",
    )
    axes.set(xlabel=f"overlap@{k} of a question", ylabel="questions", xlim=(-0.5 / k, 1 + 0.5 / k))
    return plain(figure)


def change_per_question(comparison: Comparison) -> Figure | str | None:
    """The change of nDCG of every judged question, sorted. A sentence when none changes, None
    without judgements."""
    if not comparison.questions.qrels:
        return None
    metric = trec.metric_names(comparison.k)[0]
    change = comparison.change(metric).to_numpy()
    gains, losses = int((change > 0).sum()), int((change < 0).sum())
    if not gains and not losses:
        return f"{metric} is the same with both models for all {len(change)} judged questions."
    figure = new_figure(2.9)
    axes = figure.subplots()
    axes.bar(range(len(change)), change, width=1.0, color=np.where(change < 0, LOSS, GAIN))
    axes.axhline(change.mean(), color=INK, linestyle="--", linewidth=1)
    set_title(
        figure,
        f"{gains} questions gain, {losses} lose and {len(change) - gains - losses} stay; "
        f"the mean change of {metric} is {change.mean():+.3f}",
    )
    axes.set(xlabel="judged questions, largest loss first", ylabel=f"change of {metric}")
    return plain(figure)


def forest(evidence: Evidence) -> Figure | None:
    """The change in every slice with its interval, all questions on top. None without slices."""
    if not evidence.slices:
        return None
    total, slices = evidence.differences[0], evidence.slices
    rows = [("all questions", total.n, total.change)]
    rows += [(f"{part.kind}: {_shorten(part.name)}", part.n, part.change) for part in slices]
    figure = new_figure(0.27 * len(rows) + 1.3)
    axes = figure.subplots()
    axes.axvline(0, color=INK, linewidth=1)
    for height, (_, _, change) in enumerate(rows):
        colour = GAIN if change.low > 0 else LOSS if change.high < 0 else OLD
        axes.plot([change.low, change.high], [height, height], color=colour, linewidth=2)
        marker = "D" if height == 0 else "o"
        axes.plot(change.mean, height, color=colour, marker=marker, markersize=7)
    axes.axhline(0.5, color=OLD, linewidth=0.5)
    axes.set_yticks(range(len(rows)), [f"{name} ({n})" for name, n, _ in rows], fontsize=9)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(f"change of {total.metric}, intervals of {len(slices)} slices", fontsize=9)
    losses = sum(part.change.high < 0 for part in slices)
    gains = sum(part.change.low > 0 for part in slices)
    set_title(
        figure,
        f"Of {len(slices)} slices {gains} gain significantly, {losses} lose significantly, "
        f"and {len(slices) - gains - losses} are undecided",
    )
    return plain(figure)


def latency_cdf(comparison: Comparison) -> Figure | None:
    """The distribution of the latency of both models, from a question to its rows; None where the
    lists of one are those of a log."""
    if not comparison.old.vectors:
        return None
    figure = new_figure(3.1)
    axes = figure.subplots()
    runs = comparison.old, comparison.new
    for run, colour in zip(runs, (OLD, NEW), strict=True):
        latency_ms = np.sort(run.latency_ms)
        share = np.arange(1, len(latency_ms) + 1) / len(latency_ms)
        label = f"{run.model}, p95 {np.percentile(latency_ms, 95):.1f} ms"
        axes.step(latency_ms, share, where="post", color=colour, linewidth=2, label=label)
    axes.set_xscale("log")
    figure.legend(loc="outside lower left", frameon=False, fontsize=9)
    old_ms, new_ms = (float(np.median(run.latency_ms)) for run in runs)
    set_title(
        figure,
        f"Half of the questions have their rows within {old_ms:.1f} ms with the old model, and "
        f"within {new_ms:.1f} ms with the new one",
    )
    axes.set(xlabel="milliseconds, log scale", ylabel="share of questions", ylim=(0, 1.02))
    plain_log(axes.xaxis)
    return plain(figure)


def hybrid(found: Hybrid) -> Figure:
    """The metric of both models over the weight of full text, and where each is best."""
    figure = new_figure(3.1)
    axes = figure.subplots()
    for side, colour in ((found.old, OLD), (found.new, NEW)):
        axes.plot(WEIGHTS, side.curve, "o-", color=colour, markersize=4, label=side.model)
        axes.plot(side.weight, max(side.curve), "o", color=colour, markersize=10, mfc="none")
    if found.app_weight:
        axes.axvline(found.app_weight, color=INK, linestyle="--", linewidth=1)
    best = f"{found.metric} of the new model is best at a text weight of {found.new.weight:g}"
    set_title(
        figure,
        f"{best}: {max(found.new.curve):.3f}, against {found.new.alone:.3f} by vectors alone and "
        f"{found.text_alone:.3f} by full text alone",
    )
    axes.set(xlabel="weight of full text in the fusion", ylabel=found.metric)
    figure.legend(loc="outside lower left", frameon=False, fontsize=9)
    return plain(figure)


def _shorten(text: str) -> str:
    return text if len(text) <= LABEL_CHARACTERS else text[: LABEL_CHARACTERS - 1] + "…"

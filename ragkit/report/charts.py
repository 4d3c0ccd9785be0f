"""Charts of the questions of a comparison. A title says what to see."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ragkit.evaluation.comparison import Comparison
from ragkit.evaluation.evidence import Evidence
from ragkit.evaluation.metrics import trec
from ragkit.report.style import GAIN, INK, LOSS, NEW, OLD, plain, plain_log, share_bins

LABEL_CHARACTERS = 22
LABEL_GAP = 0.75
"""Between two lines of rank_slopes, in ranks."""


@dataclass(frozen=True)
class _RankMove:
    """The rank of a row for a question in both runs; k + 1 is beyond the list."""

    question: str
    row: str
    old: int
    new: int


def overlap_histogram(comparison: Comparison) -> Figure:
    """How many of the first k rows the models share."""
    k, overlap = comparison.k, comparison.overlap
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.hist(overlap, bins=share_bins(k), color=NEW, edgecolor="white")
    axes.axvline(overlap.mean(), color=INK, linestyle="--", linewidth=1)
    axes.set_title(
        f"The models share {overlap.mean():.0%} of their first {k} rows: different, not worse"
    )
    axes.set(xlabel=f"overlap@{k} of a question", ylabel="questions", xlim=(-0.5 / k, 1 + 0.5 / k))
    return plain(figure)


def change_per_question(comparison: Comparison) -> Figure | None:
    """The change of nDCG of every judged question, sorted. None without judgements."""
    if not comparison.questions.qrels:
        return None
    metric = trec.metric_names(comparison.k)[0]
    change = comparison.change(metric).to_numpy()
    gains, losses = int((change > 0).sum()), int((change < 0).sum())
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.bar(range(len(change)), change, width=1.0, color=np.where(change < 0, LOSS, GAIN))
    axes.axhline(change.mean(), color=INK, linestyle="--", linewidth=1)
    axes.set_title(
        f"{gains} questions gain, {losses} lose, {len(change) - gains - losses} stay; "
        f"mean {change.mean():+.3f}"
    )
    axes.set(xlabel="judged questions, largest loss first", ylabel=f"change of {metric}")
    return plain(figure)


def forest(evidence: Evidence) -> Figure | None:
    """The change in every slice with its interval, all questions on top. None without slices."""
    if not evidence.slices:
        return None
    total, slices = evidence.differences[0], evidence.slices
    rows = [("all questions", total.n, total.change)]
    rows += [(f"{part.kind}: {part.name}", part.n, part.change) for part in slices]
    figure = Figure(figsize=(8, 0.3 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color=INK, linewidth=1)
    for height, (_, _, change) in enumerate(rows):
        colour = GAIN if change.low > 0 else LOSS if change.high < 0 else OLD
        axes.plot([change.low, change.high], [height, height], color=colour, linewidth=2)
        marker = "D" if height == 0 else "o"
        axes.plot(change.mean, height, color=colour, marker=marker, markersize=7)
    axes.axhline(0.5, color=OLD, linewidth=0.5)
    axes.set_yticks(range(len(rows)), [f"{name} ({n})" for name, n, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(f"change of {total.metric}, interval corrected for {len(slices)} slices")
    losses = sum(part.change.high < 0 for part in slices)
    gains = sum(part.change.low > 0 for part in slices)
    axes.set_title(
        f"Of {len(slices)} slices {gains} gain significantly, {losses} lose significantly, "
        f"{len(slices) - gains - losses} are undecided", fontsize=11,
    )  # fmt: skip
    return plain(figure)


def rank_slopes(comparison: Comparison, limit: int = 7) -> Figure | None:
    """The best-judged rows whose ranks rose and fell most, at most `limit` of each.

    A row beyond the first k is drawn below k. None without judgements.
    """
    if not comparison.questions.qrels:
        return None
    moves = _rank_moves(comparison)
    rises = sorted((m for m in moves if m.new < m.old), key=lambda m: m.new - m.old)
    falls = sorted((m for m in moves if m.new > m.old), key=lambda m: m.old - m.new)
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    figure.suptitle(f"Of {len(moves)} best-judged rows {len(rises)} rose and {len(falls)} fell")
    left, right = figure.subplots(1, 2)
    _draw_slopes(left, comparison, rises[:limit], is_rise=True)
    _draw_slopes(right, comparison, falls[:limit], is_rise=False)
    return plain(figure)


def latency_cdf(comparison: Comparison) -> Figure:
    """The distribution of the latency of both models, from a question to its rows."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    for run, colour in ((comparison.old, OLD), (comparison.new, NEW)):
        latency_ms = np.sort(run.latency_ms)
        share = np.arange(1, len(latency_ms) + 1) / len(latency_ms)
        label = f"{run.model}, p95 {np.percentile(latency_ms, 95):.1f} ms"
        axes.step(latency_ms, share, where="post", color=colour, linewidth=2, label=label)
    axes.set_xscale("log")
    axes.legend(loc="best", frameon=False)
    axes.set_title("From a question to its rows: embedding and search")
    axes.set(xlabel="milliseconds, log scale", ylabel="share of questions", ylim=(0, 1.02))
    plain_log(axes.xaxis)
    return plain(figure)


def _rank_moves(comparison: Comparison) -> list[_RankMove]:
    """One for each row with the best grade of its question."""
    old, new, k = comparison.old.rankings, comparison.new.rankings, comparison.k
    return [
        _RankMove(question, row, _rank(old[question], row, k), _rank(new[question], row, k))
        for question, grades in comparison.questions.qrels.items()
        for row, grade in grades.items()
        if grade == max(grades.values())
    ]


def _draw_slopes(axes: Axes, comparison: Comparison, moves: list[_RankMove], is_rise: bool) -> None:
    """A line for each move, labelled at the end that is within the first k."""
    starts = _spread([move.old for move in moves])
    ends = _spread([move.new for move in moves])
    colour = GAIN if is_rise else LOSS
    x, align = (1.05, "left") if is_rise else (-0.05, "right")
    for move, start, end in zip(moves, starts, ends, strict=True):
        axes.plot([0, 1], [start, end], color=colour, marker="o", markersize=4)
        question = _shorten(comparison.questions.texts[move.question])
        label = f"{question}: {_shorten(comparison.labels.get(move.row, move.row))}"
        y = end if is_rise else start
        axes.text(x, y, label, ha=align, va="center", fontsize=8, color=INK)
    axes.set_title("rose most" if is_rise else "fell most", fontsize=10, color=colour)
    axes.set_xlim((-0.1, 2.6) if is_rise else (-1.6, 1.1))
    k = comparison.k
    axes.set_ylim(max([k + 1, *starts, *ends]) + 0.6, 0.4)
    axes.set_xticks([0, 1], ["old", "new"])
    axes.set_yticks([1, k // 2, k, k + 1], ["1", str(k // 2), str(k), f">{k}"])


def _spread(ranks: list[int]) -> list[float]:
    """Heights for the ranks, in their order, at least LABEL_GAP apart."""
    heights, previous = [0.0] * len(ranks), -LABEL_GAP
    for place in sorted(range(len(ranks)), key=ranks.__getitem__):
        heights[place] = previous = max(float(ranks[place]), previous + LABEL_GAP)
    return heights


def _rank(rows: list[str], row: str, k: int) -> int:
    return rows.index(row) + 1 if row in rows else k + 1


def _shorten(text: str) -> str:
    return text if len(text) <= LABEL_CHARACTERS else text[: LABEL_CHARACTERS - 1] + "…"

"""Charts of the questions that were asked; a title says what to see."""

import numpy as np
from matplotlib.figure import Figure

from ragkit.comparison import metrics
from ragkit.comparison.compare import Comparison
from ragkit.comparison.evidence import Evidence
from ragkit.view.style import GAIN, INK, LOSS, NEW, OLD, plain, plain_log


def overlap_histogram(comparison: Comparison) -> Figure:
    k, values = comparison.k, comparison.overlap
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.hist(values, bins=(np.arange(k + 2) - 0.5) / k, color=NEW, edgecolor="white")
    axes.axvline(values.mean(), color=INK, linestyle="--", linewidth=1)
    axes.set_title(
        f"The models share {values.mean():.0%} of their first {k} rows: different, not worse"
    )
    axes.set(xlabel=f"overlap@{k} of a question", ylabel="questions", xlim=(-0.5 / k, 1 + 0.5 / k))
    return plain(figure)


def change_per_question(comparison: Comparison) -> Figure | None:
    """None without judgements."""
    if not comparison.judged.qrels:
        return None
    metric = metrics.names(comparison.k)[0]
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
    axes.set(xlabel="judged questions, worst first", ylabel=f"change of {metric}")
    return plain(figure)


def forest(evidence: Evidence) -> Figure | None:
    """The change in every slice with its interval, the whole on top. None without slices."""
    if not evidence.slices:
        return None
    whole, parts = evidence.differences[0], evidence.slices
    rows = [("all questions", whole.n, whole.change)]
    rows += [(f"{each.kind}: {each.name}", each.n, each.change) for each in parts]
    figure = Figure(figsize=(8, 0.3 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color=INK, linewidth=1)
    for place, (_, _, change) in enumerate(rows):
        colour = GAIN if change.low > 0 else LOSS if change.high < 0 else OLD
        axes.plot([change.low, change.high], [place, place], color=colour, linewidth=2)
        marker = "D" if place == 0 else "o"
        axes.plot(change.mean, place, color=colour, marker=marker, markersize=7)
    axes.axhline(0.5, color=OLD, linewidth=0.5)
    axes.set_yticks(range(len(rows)), [f"{name} ({n})" for name, n, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(f"change of {whole.metric}, interval corrected for {len(parts)} slices")
    lost = sum(each.change.high < 0 for each in parts)
    won = sum(each.change.low > 0 for each in parts)
    axes.set_title(
        f"Of {len(parts)} slices {won} surely gain, {lost} surely lose, "
        f"{len(parts) - won - lost} are open", fontsize=11,
    )  # fmt: skip
    return plain(figure)


def rank_slopes(comparison: Comparison, most: int = 7) -> Figure | None:
    """The best-judged rows whose rank moved most, up and down; beyond k is drawn below k. None
    without judgements."""
    if not comparison.judged.qrels:
        return None
    k = comparison.k
    moves = [
        (_rank(comparison.old.run[q], row, k), _rank(comparison.new.run[q], row, k), q, row)
        for q, rows in comparison.judged.qrels.items()
        for row, grade in rows.items()
        if grade == max(rows.values())
    ]
    rose = sorted((m for m in moves if m[1] < m[0]), key=lambda m: m[1] - m[0])
    fell = sorted((m for m in moves if m[1] > m[0]), key=lambda m: m[0] - m[1])
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    figure.suptitle(f"Of {len(moves)} best-judged rows {len(rose)} rose and {len(fell)} fell")
    for axes, chosen, colour, word in zip(
        figure.subplots(1, 2), (rose[:most], fell[:most]), (GAIN, LOSS), ("rose", "fell"),
        strict=True,
    ):  # fmt: skip
        before, after = _spread([m[0] for m in chosen]), _spread([m[1] for m in chosen])
        labelled = after if word == "rose" else before  # the end within the first k
        for move, start, end, at in zip(chosen, before, after, labelled, strict=True):
            axes.plot([0, 1], [start, end], color=colour, marker="o", markersize=4)
            row = comparison.labels.get(move[3], move[3])
            text = f"{_short(comparison.judged.texts[move[2]])}: {_short(row)}"
            x, align = (1.05, "left") if word == "rose" else (-0.05, "right")
            axes.text(x, at, text, ha=align, va="center", fontsize=8, color=INK)
        axes.set_title(f"{word} most", fontsize=10, color=colour)
        axes.set_xlim((-0.1, 2.6) if word == "rose" else (-1.6, 1.1))
        axes.set_ylim(max([k + 1, *before, *after]) + 0.6, 0.4)
        axes.set_xticks([0, 1], ["old", "new"])
        axes.set_yticks([1, k // 2, k, k + 1], ["1", str(k // 2), str(k), f">{k}"])
    return plain(figure)


def latency_cdf(comparison: Comparison) -> Figure:
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    for side, colour in ((comparison.old, OLD), (comparison.new, NEW)):
        values = np.sort(side.latency_ms)
        share = np.arange(1, len(values) + 1) / len(values)
        p95 = np.percentile(values, 95)
        label = f"{side.model}, p95 {p95:.1f} ms"
        axes.step(values, share, where="post", color=colour, linewidth=2, label=label)
    axes.set_xscale("log")
    axes.legend(loc="best", frameon=False)
    axes.set_title("From a question to its rows: embedding and search")
    axes.set(xlabel="milliseconds, log scale", ylabel="share of questions", ylim=(0, 1.02))
    plain_log(axes.xaxis)
    return plain(figure)


def _spread(ranks: list[int], gap: float = 0.75) -> list[float]:
    """The ranks, moved apart so that no two stand on one another; in the order they came."""
    places, last = [0.0] * len(ranks), -gap
    for i in sorted(range(len(ranks)), key=ranks.__getitem__):
        places[i] = last = max(float(ranks[i]), last + gap)
    return places


def _rank(rows: list[str], row: str, k: int) -> int:
    return rows.index(row) + 1 if row in rows else k + 1


def _short(text: str, length: int = 22) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"

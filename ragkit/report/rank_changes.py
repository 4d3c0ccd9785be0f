"""How the ranks of the best-judged rows change: counts of all of them, and the largest changes."""

from dataclasses import dataclass
from math import ceil

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from ragkit.evaluation.comparison import Comparison
from ragkit.report.show import note, show_table
from ragkit.report.style import GAIN, INK, LOSS, OLD, new_figure, set_title

MAX_BINS = 10
"""Of ranks; more ranks share a bin."""


@dataclass(frozen=True)
class RankChange:
    """The rank of a row for a question in both runs; k + 1 is beyond the list."""

    question: str
    row: str
    old: int
    new: int


def rank_changes(comparison: Comparison) -> list[RankChange]:
    """One for each row with the best grade of its question; [] without judgements."""
    old, new, k = comparison.old.rankings, comparison.new.rankings, comparison.k
    return [
        RankChange(question, row, _rank(old[question], row, k), _rank(new[question], row, k))
        for question, grades in comparison.questions.qrels.items()
        for row, grade in grades.items()
        if grade == max(grades.values())
    ]


def matrix(comparison: Comparison) -> Figure | str | None:
    """How many of the best-judged rows went from each rank to each other; one cell is one pair of
    ranks. A sentence when no rank changed, None without judgements."""
    changes, k = rank_changes(comparison), comparison.k
    if not changes:
        return None
    rises = sum(change.new < change.old for change in changes)
    falls = sum(change.new > change.old for change in changes)
    if not rises and not falls:
        return f"None of the {len(changes)} best-judged rows changed its rank."
    beyond = sum(change.old == change.new == k + 1 for change in changes)
    counts, labels = _count(changes, k)
    figure = new_figure(4.4)
    set_title(
        figure,
        f"Of {len(changes)} best-judged rows {rises} rose and {falls} fell; "
        f"{beyond} are not among the first {k} of either model",
    )
    _draw(figure.subplots(), counts, labels)
    return figure


def largest(comparison: Comparison | None, limit: int = 5) -> None:
    """The `limit` best-judged rows that rose most, and those that fell most, as a table."""
    if comparison is None:
        return
    changes, k = rank_changes(comparison), comparison.k
    rises = sorted((c for c in changes if c.new < c.old), key=lambda c: c.new - c.old)
    falls = sorted((c for c in changes if c.new > c.old), key=lambda c: c.old - c.new)
    shown = [*rises[:limit], *falls[:limit]]
    if not shown:
        return
    rows = [
        (comparison.questions.texts[c.question], comparison.labels.get(c.row, c.row),
         *(str(rank) if rank <= k else f">{k}" for rank in (c.old, c.new)),
         "rose" if c.new < c.old else "fell")
        for c in shown
    ]  # fmt: skip
    columns = ["question", "best-judged row", "old rank", "new rank", ""]
    frame = pd.DataFrame(rows, columns=columns)
    styles = [f"color:{GAIN if c.new < c.old else LOSS}" for c in shown]
    styler = frame.style.format(escape="html").apply(lambda _: styles, subset=[""])
    show_table(frame, styler)
    note(
        f"Of {len(rises)} rises and {len(falls)} falls, the {limit} largest of each; among equal "
        "ones the first in the file of judgements."
    )


def _count(changes: list[RankChange], k: int) -> tuple[np.ndarray, list[str]]:
    """The number of rows by old and by new bin of ranks, and the names of the bins; the last bin
    is beyond the list."""
    size = ceil(k / MAX_BINS)
    starts = range(1, k + 1, size)
    ends = [min(start + size - 1, k) for start in starts]
    labels = [
        str(start) if start == end else f"{start}-{end}"
        for start, end in zip(starts, ends, strict=True)
    ]
    counts = np.zeros((len(labels) + 1, len(labels) + 1), int)
    for change in changes:
        counts[_bin(change.old, k, size), _bin(change.new, k, size)] += 1
    return counts, [*labels, f">{k}"]


def _bin(rank: int, k: int, size: int) -> int:
    return -1 if rank > k else (rank - 1) // size


def _draw(axes: Axes, counts: np.ndarray, labels: list[str]) -> None:
    """Green below the diagonal, where the new rank is better; red above it. The cell of the rows
    beyond both lists has no colour: it would outshine the others."""
    strength = counts.astype(float)
    strength[-1, -1] = 0
    strength = 0.75 * np.sqrt(strength / max(strength.max(), 1))
    colours = np.ones((*counts.shape, 3))
    for (old, new), share in np.ndenumerate(strength):
        colour = GAIN if new < old else LOSS if new > old else OLD
        colours[old, new] = 1 - share * (1 - np.array(to_rgb(colour)))
    axes.imshow(colours, aspect="auto")
    for (old, new), count in np.ndenumerate(counts):
        if count:
            axes.text(new, old, str(count), ha="center", va="center", fontsize=9, color=INK)
    places = range(len(labels))
    axes.set_xticks(places, labels)
    axes.set_yticks(places, labels)
    axes.set(xlabel="rank with the new model", ylabel="rank with the old model")


def _rank(rows: list[str], row: str, k: int) -> int:
    return rows.index(row) + 1 if row in rows else k + 1

"""One colour language for all charts: old grey, new blue, loss red, gain green, open amber."""

from textwrap import fill
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a notebook without charts does not load it
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

OLD, NEW, LOSS, GAIN, OPEN, INK = "#8c8c8c", "#1f6fb4", "#c0392b", "#2e8b57", "#b8860b", "#222222"
RESULT: dict[bool | None, tuple[str, str]] = {
    True: ("passed", GAIN),
    False: ("failed", LOSS),
    None: ("undecided", OPEN),
}
"""Word and colour of a gate's outcome."""
WIDTH = 4.8
"""Of a figure in a notebook's page, in inches: what a telephone shows with letters of full size."""
TITLE_CHARACTERS = 12
"""Of a line of a title, an inch."""


def new_figure(height: float) -> "Figure":
    """A figure for a notebook's page, `height` inches high."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained")


def set_title(figure: "Figure", text: str) -> None:
    """A sentence above the whole figure, in as many lines as it takes."""
    lines = fill(text, int(figure.get_figwidth() * TITLE_CHARACTERS))
    figure.suptitle(lines, x=0.01, ha="left", fontsize=10.5, linespacing=1.3)


def title_of(figure: "Figure") -> str:
    """The same sentence in one line."""
    return " ".join(figure.get_suptitle().split())


def share_bins(k: int) -> list[float]:
    """Edges of the bins of a histogram of shares 0/k, 1/k, … k/k, each in the middle of a bin."""
    return [(n - 0.5) / k for n in range(k + 2)]


def plain_log(axis: "Axis") -> None:
    """Labels the ticks of a log axis 5, 10, 20 and so on, not as powers of ten."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FormatStrFormatter("%g"))
    axis.set_minor_formatter(NullFormatter())


def plain(figure: "Figure") -> "Figure":
    """The same figure without the upper and the right spine of its axes."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    return figure

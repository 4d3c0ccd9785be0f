"""One colour language for all charts: old grey, new blue, loss red, gain green, open amber."""

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

OLD, NEW, LOSS, GAIN, OPEN, INK = "#8c8c8c", "#1f6fb4", "#c0392b", "#2e8b57", "#b8860b", "#222222"
RESULT = {True: ("passed", GAIN), False: ("failed", LOSS), None: ("undecided", OPEN)}
"""Word and colour of a gate's outcome."""


def plain_log(axis: Axis) -> None:
    """Ticks as people write numbers: 5, 10, 20, not powers of ten."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FormatStrFormatter("%g"))
    axis.set_minor_formatter(NullFormatter())


def plain(figure: Figure) -> Figure:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    return figure

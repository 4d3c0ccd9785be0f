"""How the notebooks draw what the library yields: cards, tables, a bar that moves in place.

HTML and plain text beside it, so that JupyterLab, papermill's log and a terminal all read well.
"""

import html
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields
from io import BytesIO

import pandas as pd
from humanize import naturalsize
from IPython.display import DisplayHandle, display
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from ragkit.migration.backfill import Progress
from ragkit.migration.index import Building
from ragkit.migration.status import Status

CARD = "border:1px solid #d0d7de;border-radius:6px;padding:8px 14px;max-width:760px"


def card(status: Status) -> None:
    """The status card on top of every notebook."""
    misses = status.rollback_misses
    facts = {
        "phase": status.phase,
        "rows done": f"{status.done:,} of {status.total:,}"
        + (f" ({status.empty} without text)" if status.empty else "")
        + (f" ({status.set_aside} set aside)" if status.set_aside else ""),
        "serving": status.serving or "the app does not answer",
        **({"a rollback misses": f"{misses:,} rows"} if misses else {}),
        "next": status.next_step,
    }
    items = "".join(
        f"<div style='margin-right:28px'><small style='color:#666'>{name}</small><br>"
        f"<b>{html.escape(value)}</b></div>"
        for name, value in facts.items()
    )
    title = f"<div style='color:#666;margin-bottom:4px'>{html.escape(status.migration)}</div>"
    body = (
        f"<div style='{CARD}'>{title}<div style='display:flex;flex-wrap:wrap'>{items}</div></div>"
    )
    both(body, " · ".join(f"{name}: {value}" for name, value in facts.items()))


def note(text: object) -> None:
    both(f"<div style='{CARD}'>{html.escape(str(text))}</div>", str(text))


def lines(texts: Iterable[str]) -> None:
    """One by one, as they come."""
    for text in texts:
        print(text, flush=True)


def record(item: object) -> None:
    """One dataclass as a two-column table."""
    pairs = [(_title(f.name), _text(f.name, getattr(item, f.name))) for f in fields(item)]
    _table(pd.DataFrame(pairs, columns=["", " "]))


def table(items: Sequence[object]) -> None:
    """Dataclasses of one kind, a row each."""
    if not items:
        return note("none")
    rows = [{_title(k): _text(k, v) for k, v in asdict(item).items()} for item in items]
    return _table(pd.DataFrame(rows))


def progress(steps: Iterable[Progress]) -> None:
    """Follows a backfill: one bar updated in place, and a line each 10 % for a log."""
    handle, told = DisplayHandle(), -1
    for step in steps:
        share = step.done / step.total if step.total else 1.0
        shown = Both(_bar(step, share), _line(step))
        if told < 0:
            handle.display(shown)
            print(f"starting from {step.done:,} of {step.total:,}")
        else:
            handle.update(shown)
        if int(share * 10) > told:
            told = int(share * 10)
            print(_line(step), flush=True)


def building(step: Building) -> None:
    """A line of an index build, for `index.build(…, show.building)`."""
    done = f" {step.done:,} of {step.total:,}" if step.total else ""
    print(f"{step.phase}{done}", flush=True)


def chart(draw: Callable[..., Figure | None], found: object | None) -> None:
    """What `draw` makes of `found`, as a picture whose title is its alternative text; nothing
    of nothing."""
    if found is None or (figure := draw(found)) is None:
        return
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    title = figure.get_suptitle() or figure.axes[0].get_title()
    source = f"data:image/png;base64,{b64encode(buffer.getvalue()).decode()}"
    both(f'<img alt="{html.escape(title)}" src="{source}">', title)


def _table(frame: pd.DataFrame) -> None:
    display(left(frame.style.hide(axis="index").format(escape="html")))


def left(style: Styler) -> Styler:
    return style.set_table_styles(
        [{"selector": "td, th", "props": "text-align:left; max-width:640px"}]
    )


def _title(name: str) -> str:
    return name.replace("_", " ")


def _text(name: str, value: object) -> str:
    if name == "bytes":
        return naturalsize(value)
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _bar(step: Progress, share: float) -> str:
    return (
        f"<div style='{CARD}'><div style='background:#eee;border-radius:4px'>"
        f"<div style='width:{share:.1%};background:#1f6fb4;height:14px;border-radius:4px'></div>"
        f"</div>{_line(step)}</div>"
    )


def _line(step: Progress) -> str:
    eta = f", {step.eta_seconds:.0f} s to go" if 0 < step.eta_seconds < float("inf") else ""
    rate = f", {step.rate:,.0f} rows/s" if step.rate else ""
    share = step.done / step.total if step.total else 1.0
    return f"{step.done:,} of {step.total:,} rows ({share:.0%}){rate}{eta}"


class Both:
    """One output with an HTML and a text form."""

    def __init__(self, body: str, text: str):
        self._body, self._text = body, text

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self._body, "text/plain": self._text}


def both(body: str, text: str) -> None:
    display(Both(body, text))

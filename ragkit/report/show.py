"""How notebooks show what the library returns: cards, tables, charts, a bar updated in place.

Every output has an HTML form and a plain text form, for JupyterLab, papermill's log and terminals.
"""

import html
from base64 import b64encode
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from io import BytesIO
from typing import TYPE_CHECKING, TypeVar

import pandas as pd
from IPython.display import DisplayHandle, display
from pandas.io.formats.style import Styler

from ragkit.deploy.canary.decision import CanaryLook
from ragkit.migration.backfill.progress import Progress
from ragkit.migration.schema.index import BuildProgress
from ragkit.migration.status import Status
from ragkit.report import words
from ragkit.report.style import NEW, title_of

if TYPE_CHECKING:  # a notebook without charts does not load matplotlib
    from _typeshed import DataclassInstance
    from matplotlib.figure import Figure

T = TypeVar("T")
CARD = (
    "border:1px solid #d0d7de;border-radius:6px;padding:8px 14px;max-width:760px;"
    "overflow-wrap:anywhere"
)
NO_MATHEMATICS = "mathjax_ignore tex2jax_ignore"
"""Classes of what MathJax leaves alone: a row's text may hold dollar signs."""
DOTS_PER_INCH, PAGE_DOTS_PER_INCH = 160, 120
"""Of a stored chart, and of the same chart on a wide page."""
CELLS = "text-align:left;white-space:normal;overflow-wrap:break-word;max-width:640px"


class HtmlAndText:
    """One output with an HTML form and a text form."""

    def __init__(self, body: str, text: str):
        self._body, self._text = body, text

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self._body, "text/plain": self._text}


def show_html(body: str, text: str) -> None:
    """`body` must be escaped; `text` is what a log shows."""
    display(HtmlAndText(f"<div class='{NO_MATHEMATICS}'>{body}</div>", text))


def show_table(frame: pd.DataFrame, styler: Styler | None = None, title: str = "") -> None:
    """A table without its index. One that is wider than the page scrolls in its own box.

    `styler` styles the frame's HTML form; `title` is above its text form.
    """
    styler = (styler or frame.style.format(escape="html")).hide(axis="index")
    styler = styler.set_table_styles([{"selector": "td, th", "props": CELLS}], overwrite=False)
    text = frame.to_string(index=False, float_format="{:.3f}".format)
    body = f"<div style='overflow-x:auto;max-width:100%'>{styler.to_html()}</div>"
    show_html(body, f"{title}\n{text}".strip("\n"))


def card(status: Status) -> None:
    """The status card at the top of every notebook."""
    facts = words.facts(status)
    name = facts.pop("migration")
    items = "".join(
        f"<div style='margin-right:28px'><small style='color:#666'>{fact}</small><br>"
        f"<b>{html.escape(value)}</b></div>"
        for fact, value in facts.items()
    )
    title = f"<div style='color:#666;margin-bottom:4px'>{html.escape(name)}</div>"
    body = (
        f"<div style='{CARD}'>{title}<div style='display:flex;flex-wrap:wrap'>{items}</div></div>"
    )
    show_html(body, " · ".join(f"{fact}: {value}" for fact, value in facts.items()))


def note(text: object) -> None:
    """A sentence or two in a frame."""
    show_html(f"<div style='{CARD}'>{html.escape(str(text))}</div>", str(text))


def lines(texts: Iterable[str]) -> None:
    """Prints each text as soon as it comes."""
    for text in texts:
        print(text, flush=True)


def record(item: "DataclassInstance") -> None:
    """A dataclass as a table of two columns."""
    show_table(pd.DataFrame(words.facts(item).items(), columns=["", " "]))


def table(items: Sequence["DataclassInstance"]) -> None:
    """Dataclasses of one class, one row each; "none" without any."""
    if not items:
        return note("none")
    return show_table(pd.DataFrame([words.facts(item) for item in items]))


def progress(steps: Generator[Progress, None, None]) -> None:
    """Follows a backfill: one bar updated in place, and a printed line each 10 % for a log.

    Closes the generator in any case, so that an interrupted cell holds no database locks.
    """
    handle, printed_tenths = DisplayHandle(), -1
    with closing(steps):
        for step in steps:
            share, line = words.share(step), words.progress_line(step)
            bar = HtmlAndText(_bar(step), line)
            if printed_tenths < 0:
                handle.display(bar)
                print(f"starting from {step.done:,} of {step.total:,}")
            else:
                handle.update(bar)
            if int(share * 10) > printed_tenths:
                printed_tenths = int(share * 10)
                print(line, flush=True)


def building(step: BuildProgress) -> None:
    """Prints a line of an index build, for `index.build(migration, show.building)`."""
    print(words.building_line(step), flush=True)


def canary() -> Callable[[CanaryLook], None]:
    """What shows each look of a canary, for `runbook.canary.also`: a table updated in place, and a
    printed line for a log where a step or a decision is another one."""
    handle = DisplayHandle()
    said: tuple[int, str] | None = None

    def follow(look: CanaryLook) -> None:
        nonlocal said
        rows = "".join(
            f"<tr><th style='{CELLS}'>{html.escape(name)}</th>"
            f"<td style='{CELLS}'>{html.escape(text)}</td></tr>"
            for name, text in words.facts(look).items()
        )
        shown = HtmlAndText(f"<table style='{CARD}'>{rows}</table>", str(look))
        if said is None:
            handle.display(shown)
        else:
            handle.update(shown)
        if said != (look.share, look.decision):
            said = (look.share, look.decision)
            print(look, flush=True)

    return follow


def chart(draw: "Callable[[T], Figure | str | None]", data: T | None) -> None:
    """The figure that `draw` makes of `data`, with its title as the alternative text; or the
    sentence that it gives in the place of a figure that would say nothing.

    Shows nothing when there is no data, or no figure of it.
    """
    if data is None or (figure := draw(data)) is None:
        return
    if isinstance(figure, str):
        return note(figure)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    text = f"{title_of(figure)}."
    source = f"data:image/png;base64,{b64encode(buffer.getvalue()).decode()}"
    style = f"width:{figure.get_figwidth() * PAGE_DOTS_PER_INCH:.0f}px;max-width:100%;height:auto"
    show_html(f'<img alt="{html.escape(text)}" src="{source}" style="{style}">', text)


def _bar(step: Progress) -> str:
    bar = f"width:{words.share(step):.1%};background:{NEW};height:14px;border-radius:4px"
    return (
        f"<div style='{CARD}'><div style='background:#eee;border-radius:4px'>"
        f"<div style='{bar}'></div></div>{html.escape(words.progress_line(step))}</div>"
    )

"""How the notebooks draw what the library yields: cards, tables, a bar that moves in place.

HTML and plain text beside it, so that JupyterLab, papermill's log and a terminal all read well.
"""

import html
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from io import BytesIO

import pandas as pd
from humanize import naturalsize
from IPython.display import DisplayHandle, Image, display
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from ragkit.migration import metrics
from ragkit.migration.backfill import Progress
from ragkit.migration.compare import Comparison
from ragkit.migration.gates import Verdict
from ragkit.migration.status import Status

_COLOURS = {True: "#2e8b57", False: "#c0392b", None: "#b8860b"}
_WORDS = {True: "passed", False: "failed", None: "undecided"}
_CARD = "border:1px solid #d0d7de;border-radius:6px;padding:8px 14px;max-width:760px"


def card(status: Status) -> None:
    """The status card on top of every notebook."""
    facts = {
        "phase": status.phase,
        "rows done": f"{status.done:,} of {status.total:,}"
        + (f" ({status.empty} without text)" if status.empty else ""),
        "serving": status.serving or "the app does not answer",
        "next": status.next_step,
    }
    items = "".join(
        f"<div style='margin-right:28px'><small style='color:#666'>{name}</small><br>"
        f"<b>{html.escape(value)}</b></div>"
        for name, value in facts.items()
    )
    title = f"<div style='color:#666;margin-bottom:4px'>{html.escape(status.migration)}</div>"
    body = (
        f"<div style='{_CARD}'>{title}<div style='display:flex;flex-wrap:wrap'>{items}</div></div>"
    )
    _both(body, " · ".join(f"{name}: {value}" for name, value in facts.items()))


def note(text: object) -> None:
    _both(f"<div style='{_CARD}'>{html.escape(str(text))}</div>", str(text))


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


def progress(steps: Iterable[Progress]) -> Progress | None:
    """Follows a backfill: one bar updated in place, and a line each 10 % for a log."""
    handle, told, last = DisplayHandle(), -1, None
    for last in steps:
        share = last.done / last.total if last.total else 1.0
        shown = _Both(_bar(last, share), _line(last))
        if told < 0:
            handle.display(shown)
            print(f"starting from {last.done:,} of {last.total:,}")
        else:
            handle.update(shown)
        if int(share * 10) > told:
            told = int(share * 10)
            print(_line(last), flush=True)
    return last


def verdict(found: Verdict) -> None:
    """The gate table, the verdict on top."""
    rows = [[g.name, g.observed, g.limit, _WORDS[g.passed]] for g in found.gates]
    frame = pd.DataFrame(rows, columns=["gate", "observed", "limit", "result"])
    colours = [_COLOURS[g.passed] for g in found.gates]
    styled = frame.style.hide(axis="index").apply(
        lambda _: [f"color:{colour};font-weight:bold" for colour in colours], subset=["result"]
    )
    together = {"GO": True, "NO-GO": False}.get(found.verdict)
    styled = _left(styled).set_caption(
        f"<b style='font-size:130%;color:{_COLOURS[together]}'>{found.verdict}</b>"
    )
    display(styled)


def figures(comparison: Comparison) -> None:
    """Means of the metrics, old and new side by side."""
    names = metrics.names(comparison.k)
    frame = pd.DataFrame(
        {
            comparison.old.model: comparison.old_scores[names].mean(),
            comparison.new.model: comparison.new_scores[names].mean(),
        }
    )
    frame["change"] = frame.iloc[:, 1] - frame.iloc[:, 0]
    judged = comparison.judged
    display(_left(frame.style.format("{:.3f}").format("{:+.3f}", subset=["change"])))
    note(
        f"{len(judged.qrels)} judged questions with a relevant row; {judged.unanswerable} more "
        "were asked that no row answers, and count in no figure."
    )


def chart(figure: Figure) -> None:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    display(Image(buffer.getvalue(), alt=figure.axes[0].get_title()))


def losses(comparison: Comparison, most: int = 5, top: int = 3) -> None:
    """The questions that lose most, with the first rows of both models side by side."""
    metric = metrics.names(comparison.k)[0]
    change = comparison.change(metric)
    worst = change[change < 0].head(most)
    if worst.empty:
        note("no judged question loses")
    for question, by in worst.items():
        text = html.escape(comparison.judged.texts[question])
        sides = "".join(_top(comparison, side, question, top) for side in ("old", "new"))
        title = f"<b>{text}</b> <span style='color:#c0392b'>{metric} {by:+.3f}</span>"
        plain = f"{comparison.judged.texts[question]}: {metric} {by:+.3f}"
        _both(
            f"{title}<table style='width:100%;table-layout:fixed'><tr>{sides}</tr></table>", plain
        )


def _top(comparison: Comparison, side: str, question: str, top: int) -> str:
    answers, grades = getattr(comparison, side), comparison.judged.qrels[question]
    rows = "".join(
        f"<li><b>{html.escape(comparison.labels[row])}</b> "
        f"<span style='color:#666'>grade {grades.get(row, 'not judged')}</span><br>"
        f"{html.escape(comparison.texts[row][:180])}</li>"
        for row in answers.run[question][:top]
    )
    return (
        f"<td style='vertical-align:top;text-align:left'><small>{html.escape(answers.model)}"
        f"</small><ol style='padding-left:18px'>{rows}</ol></td>"
    )


def _table(frame: pd.DataFrame) -> None:
    display(_left(frame.style.hide(axis="index")))


def _left(style: Styler) -> Styler:
    return style.set_table_styles(
        [{"selector": "td, th", "props": "text-align:left; max-width:640px"}]
    )


def _title(name: str) -> str:
    return name.replace("_", " ")


def _text(name: str, value: object) -> str:
    if name == "bytes":
        return naturalsize(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _bar(step: Progress, share: float) -> str:
    return (
        f"<div style='{_CARD}'><div style='background:#eee;border-radius:4px'>"
        f"<div style='width:{share:.1%};background:#1f6fb4;height:14px;border-radius:4px'></div>"
        f"</div>{_line(step)}</div>"
    )


def _line(step: Progress) -> str:
    eta = f", {step.eta_seconds:.0f} s to go" if 0 < step.eta_seconds < float("inf") else ""
    rate = f", {step.rate:,.0f} rows/s" if step.rate else ""
    share = step.done / step.total if step.total else 1.0
    return f"{step.done:,} of {step.total:,} rows ({share:.0%}){rate}{eta}"


class _Both:
    """One output with an HTML and a text form."""

    def __init__(self, body: str, text: str):
        self._body, self._text = body, text

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self._body, "text/plain": self._text}


def _both(body: str, text: str) -> None:
    display(_Both(body, text))

"""The results of a comparison as tables: the gates, the figures, the worst losses."""

import html

import pandas as pd
from IPython.display import display

from ragkit.comparison import metrics
from ragkit.comparison.compare import Comparison
from ragkit.comparison.neighbours import Neighbourhoods
from ragkit.comparison.statistics import differences
from ragkit.migration.verdict import GO, NO_GO, Verdict
from ragkit.view.show import both, left, note, table
from ragkit.view.style import LOSS, RESULT


def verdict(found: Verdict) -> None:
    """The gate table, the verdict on top."""
    rows = [[g.name, g.observed, g.limit, RESULT[g.passed][0]] for g in found.gates]
    frame = pd.DataFrame(rows, columns=["gate", "observed", "limit", "result"])
    colours = [RESULT[g.passed][1] for g in found.gates]
    styled = frame.style.hide(axis="index").apply(
        lambda _: [f"color:{colour};font-weight:bold" for colour in colours], subset=["result"]
    )
    together = {GO: True, NO_GO: False}.get(found.verdict)
    styled = left(styled).set_caption(
        f"<b style='font-size:130%;color:{RESULT[together][1]}'>{found.verdict}</b>"
    )
    display(styled)


def figures(comparison: Comparison | None, seed: int) -> None:
    """Means of the metrics, old and new side by side, and what their difference is worth."""
    if comparison is None:
        note("No questions were asked: none are given, or the old model cannot be called.")
        return
    shared = (
        f"Over {len(comparison.overlap):,} questions both models share "
        f"{comparison.shared(comparison.overlap, seed).mean:.0%} of their first {comparison.k} "
        f"rows, rank-biased overlap {comparison.shared(comparison.rbo, seed).mean:.2f}: "
        "different, not worse."
    )
    if not comparison.judged.qrels:
        note(shared)
        return
    found = differences(comparison.old_scores, comparison.new_scores, seed)
    rows = [
        (d.metric, d.old, d.new, d.change.mean, f"{d.change.low:+.3f} to {d.change.high:+.3f}",
         d.p, d.detectable, f"{d.wins} / {d.ties} / {d.losses}")
        for d in found
    ]  # fmt: skip
    sides = comparison.old.model, comparison.new.model
    columns = ["", *sides, "change", "90 % interval", "p", "could show", "win / tie / loss"]
    frame = pd.DataFrame(rows, columns=columns)
    shown = frame.style.hide(axis="index").format(precision=3)
    display(left(shown.format("{:+.3f}", subset=["change"])))
    judged = comparison.judged
    gone = f" {judged.gone} judged rows are no longer in the table." if judged.gone else ""
    note(
        f"{len(judged.qrels)} judged questions with a relevant row; {judged.unanswerable} more "
        f"were asked that no row answers, and count in no figure.{gone} p is of a paired "
        "randomisation test, corrected for the number of metrics; could show is the smallest "
        f"difference that so many questions show four times in five. {shared}"
    )


def neighbours(near: Neighbourhoods) -> None:
    """How far apart the spaces are, and the rows whose neighbours changed most."""
    bounds = f"{near.overlap.low:.2f} to {near.overlap.high:.2f}"
    cosine = (
        "of other dimensions" if near.cosine is None else f"at a mean cosine of {near.cosine:.3f}"
    )
    note(
        f"Over {near.rows:,} rows: of its {near.k} nearest rows a row keeps "
        f"{near.overlap.mean:.0%} ({bounds}); linear CKA {near.cka:.2f}; a row's old and new "
        f"vectors are {cosine}. Different says nothing of better or worse."
    )
    table(near.worst)


def losses(comparison: Comparison | None, most: int = 5, top: int = 3) -> None:
    """The questions that lose most, with the first rows of both models side by side."""
    if comparison is None:
        return
    if not comparison.judged.qrels:
        return
    metric = metrics.names(comparison.k)[0]
    change = comparison.change(metric)
    worst = change[change < 0].head(most)
    if worst.empty:
        note("no judged question loses")
    for question, by in worst.items():
        text = html.escape(comparison.judged.texts[question])
        sides = "".join(_top(comparison, side, question, top) for side in ("old", "new"))
        title = f"<b>{text}</b> <span style='color:{LOSS}'>{metric} {by:+.3f}</span>"
        plain = f"{comparison.judged.texts[question]}: {metric} {by:+.3f}"
        both(f"{title}<table style='width:100%;table-layout:fixed'><tr>{sides}</tr></table>", plain)


def _top(comparison: Comparison, side: str, question: str, top: int) -> str:
    answers, grades = getattr(comparison, side), comparison.judged.qrels[question]
    rows = "".join(
        f"<li><b>{html.escape(comparison.labels.get(row, f'{row}, deleted since'))}</b> "
        f"<span style='color:#666'>grade {grades.get(row, 'not judged')}</span><br>"
        f"{html.escape(comparison.texts.get(row, '')[:180])}</li>"
        for row in answers.run[question][:top]
    )
    return (
        f"<td style='vertical-align:top;text-align:left'><small>{html.escape(answers.model)}"
        f"</small><ol style='padding-left:18px'>{rows}</ol></td>"
    )

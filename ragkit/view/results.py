"""The results of a comparison as tables and sentences: gates, figures, the worst losses."""

import html

import pandas as pd
from humanize import naturalsize
from IPython.display import display

from ragkit.comparison import metrics
from ragkit.comparison.compare import Comparison
from ragkit.comparison.evidence import Evidence
from ragkit.comparison.index_share import Point
from ragkit.comparison.metrics import Interval
from ragkit.comparison.neighbours import Neighbourhoods
from ragkit.comparison.shadowed import Shadowed
from ragkit.comparison.variants import Variant
from ragkit.migration.verdict import GO, NO_GO, Verdict
from ragkit.view.show import both, left, note, table
from ragkit.view.style import LOSS, RESULT


def verdict(found: Verdict) -> None:
    """The gate table, the verdict on top."""
    rows = [[g.name, g.observed, g.limit, RESULT[g.passed][0]] for g in found.gates]
    frame = pd.DataFrame(rows, columns=["gate", "observed", "limit", "result"])
    colours = [RESULT[g.passed][1] for g in found.gates]
    styled = (
        frame.style.hide(axis="index")
        .format(escape="html")
        .apply(
            lambda _: [f"color:{colour};font-weight:bold" for colour in colours], subset=["result"]
        )
    )
    together = {GO: True, NO_GO: False}.get(found.verdict)
    styled = left(styled).set_caption(
        f"<b style='font-size:130%;color:{RESULT[together][1]}'>{found.verdict}</b>"
    )
    display(styled)


def figures(evidence: Evidence) -> None:
    """Means of the metrics, old and new side by side, and what their difference is worth."""
    asked, seed = evidence.asked, evidence.seed
    if asked is None:
        note("No questions were asked: none are given, or the old model cannot be called.")
        return
    if evidence.differences:
        _metrics(evidence)
    overlap, rbo, tau = (asked.shared(s, seed) for s in (asked.overlap, asked.rbo, asked.tau))
    alike = (
        f" {asked.alike} shown rows share their text with another: a swap of such is no change."
        if asked.alike
        else ""
    )
    note(
        f"Over {len(asked.overlap):,} questions both models share {overlap.mean:.0%} "
        f"({bounds(overlap)}) of their first {asked.k} rows; rank-biased overlap {rbo.mean:.2f} "
        f"({bounds(rbo)}), Kendall's tau {tau.mean:.2f} ({bounds(tau)}): different, not worse."
        f"{alike}"
    )


def _metrics(evidence: Evidence) -> None:
    rows = [
        (d.metric, d.old, d.new, d.change.mean, f"{d.change.low:+.3f} to {d.change.high:+.3f}",
         d.p, d.detectable, f"{d.wins} / {d.ties} / {d.losses}")
        for d in evidence.differences
    ]  # fmt: skip
    sides = evidence.asked.old.model, evidence.asked.new.model
    columns = ["", *sides, "change", "90 % interval", "p", "could show", "win / tie / loss"]
    frame = pd.DataFrame(rows, columns=columns)
    shown = frame.style.hide(axis="index").format(precision=3)
    display(left(shown.format("{:+.3f}", subset=["change"])))
    judged = evidence.asked.judged
    gone = f" {judged.gone} judged rows are no longer in the table." if judged.gone else ""
    source = (
        f"{len(judged.qrels)} known items: questions of the rows' own words, a proxy that favours "
        "a model that goes by words."
        if judged.proxy
        else f"{len(judged.qrels)} judged questions with a relevant row; {judged.unanswerable} "
        f"more were asked that no row answers, and count in no figure.{gone}"
    )
    note(
        f"{source} p is of a paired randomisation test, corrected for the number of metrics; could "
        "show is the smallest difference that so many questions show four times in five."
    )


def neighbours(near: Neighbourhoods) -> None:
    """How far apart the spaces are, and the rows whose neighbours changed most."""
    cosine = (
        "of other dimensions" if near.cosine is None else f"at a mean cosine of {near.cosine:.3f}"
    )
    alike = f" ({near.duplicates} more say the same as one of them)" if near.duplicates else ""
    note(
        f"Over {near.rows:,} rows of different texts{alike}: of its {near.k} nearest rows a row "
        f"keeps {near.overlap.mean:.0%} ({bounds(near.overlap)}), rank-biased overlap "
        f"{near.rbo.mean:.2f} ({bounds(near.rbo)}); Spearman of the distances "
        f"{near.spearman.mean:.2f} ({bounds(near.spearman)}); linear CKA {near.cka.mean:.2f} "
        f"({bounds(near.cka)}); a row's old and new vectors are {cosine}. Different says nothing "
        "of better or worse."
    )
    table(near.worst)


def index(points: list[Point]) -> None:
    """Recall and latency of both columns, by setting; the app's in bold."""
    rows = [
        (p.side, p.column, p.setting, p.recall.mean, bounds(p.recall, 3), p.p50_ms, p.p95_ms)
        for p in points
    ]
    columns = ["", "column", "search", "recall", "90 % interval", "median ms", "p95 ms"]
    frame = pd.DataFrame(rows, columns=columns)
    styled = frame.style.hide(axis="index").format(precision=3)
    styled = styled.format("{:.2f}", subset=["median ms", "p95 ms"]).apply(
        lambda row: ["font-weight:bold" if points[row.name].default else ""] * len(row), axis=1
    )
    display(left(styled))
    note(
        "Recall against exact search of the same column, stored vectors as questions: what the "
        "index loses, whatever the model. Bold is what the app uses."
    )


def variants(found: list[Variant]) -> None:
    rows = [
        (v.type, v.neighbours.mean, bounds(v.neighbours, 3), naturalsize(v.bytes_per_vector),
         "HNSW does not take it" if v.index_bytes is None else naturalsize(v.index_bytes))
        for v in found
    ]  # fmt: skip
    columns = ["stored as", "neighbours kept", "90 % interval", "a vector", "HNSW index"]
    frame = pd.DataFrame(rows, columns=columns)
    display(left(frame.style.hide(axis="index").format(precision=3)))
    note(
        f"Measured on {found[0].rows:,} rows in temporary tables. Fewer dimensions are the first "
        "ones: right for a model that was trained for it (Matryoshka), a loss for others."
    )


def shadow(found: Shadowed | None) -> None:
    """What live questions said; nothing where no log is given."""
    if found is None:
        return note("No shadow log is given; see shadow_log.")
    heard = f"{found.requests:,} live questions were asked of both models, {found.errors} failed "
    heard += f"in the shadow, {found.dropped} more found it busy."
    if found.overlap:
        heard += (
            f" Both show {found.overlap.mean:.0%} ({bounds(found.overlap)}) of the same rows; "
            f"p95 {found.p95_ms:.0f} ms, in the shadow {found.shadow_p95_ms:.0f} ms."
        )
    if found.commonest_error:
        heard += f" The commonest error: {found.commonest_error}"
    return note(heard)


def bounds(found: Interval, digits: int = 2) -> str:
    return f"{found.low:.{digits}f} to {found.high:.{digits}f}"


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

"""The results of a comparison as tables and sentences: gates, figures, the largest losses."""

import html

import pandas as pd

from ragkit.evaluation.comparison import Comparison
from ragkit.evaluation.evidence import Evidence
from ragkit.evaluation.hybrid.measure import Hybrid
from ragkit.evaluation.label_free.shadow_log import ShadowSummary
from ragkit.evaluation.metrics import trec
from ragkit.evaluation.metrics.significance import MetricDifference
from ragkit.evaluation.runs import RetrievalRun
from ragkit.migration.verdict import GO, NO_GO, Verdict
from ragkit.report.show import note, show_html, show_table
from ragkit.report.style import LOSS, RESULT

EXCERPT_CHARACTERS = 180
NAMED = 5
"""Questions that are shown of those that no model could answer."""


def verdict(decision: Verdict) -> None:
    """The gates as a table, with the verdict above."""
    rows = [(g.name, g.observed, g.limit, RESULT[g.passed][0]) for g in decision.gates]
    frame = pd.DataFrame(rows, columns=["gate", "observed", "limit", "result"])
    styles = [f"color:{RESULT[g.passed][1]};font-weight:bold" for g in decision.gates]
    _, colour = RESULT[{GO: True, NO_GO: False}.get(decision.verdict)]
    styler = frame.style.format(escape="html").apply(lambda _: styles, subset=["result"])
    caption = f"<b style='font-size:130%;color:{colour}'>{decision.verdict}</b>"
    show_table(frame, styler.set_caption(caption), title=decision.verdict)


def figures(evidence: Evidence) -> None:
    """The metrics of both models with the significance of their differences, and how much the
    ranked lists agree."""
    comparison, seed = evidence.comparison, evidence.seed
    if comparison is None:
        note("No questions were asked: none are given, or the old model cannot be called.")
        return
    if evidence.differences:
        _metrics(comparison, evidence.differences)
    overlap = comparison.mean_agreement(comparison.overlap, seed)
    rbo = comparison.mean_agreement(comparison.rbo, seed)
    tau = comparison.mean_agreement(comparison.tau, seed)
    duplicates = (
        f" {comparison.duplicates} of the rows share their text with another: a swap of such rows "
        "does not count as a change."
        if comparison.duplicates
        else ""
    )
    by_necessity = (
        f" (any two lists of {comparison.k} of so few rows share at least "
        f"{evidence.least_overlap:.0%})"
        if evidence.least_overlap
        else ""
    )
    first = comparison.mean_agreement(comparison.first_row_changed, seed)
    note(
        f"Over {len(comparison.overlap):,} questions both models share {overlap.mean:.0%} "
        f"({overlap.bounds(2)}) of their first {comparison.k} rows{by_necessity}, and the very "
        f"first is another for {first.mean:.0%} ({first.bounds(2)}); rank-biased overlap "
        f"{rbo.mean:.2f} ({rbo.bounds(2)}), Kendall's tau {tau.mean:.2f} ({tau.bounds(2)}): "
        f"different, not worse.{duplicates}"
    )


def _metrics(comparison: Comparison, differences: list[MetricDifference]) -> None:
    rows = [
        (d.metric, d.old, d.new, d.change.mean, d.change.bounds(signed=True), d.p, d.detectable,
         f"{d.wins} / {d.ties} / {d.losses}")
        for d in differences
    ]  # fmt: skip
    models = comparison.old.model, comparison.new.model
    columns = ["", *models, "change", "90 % interval", "p", "detectable", "win / tie / loss"]
    frame = pd.DataFrame(rows, columns=columns)
    styler = frame.style.format(precision=3, escape="html")
    show_table(frame, styler.format("{:+.3f}", subset=["change"]))
    note(
        f"{_question_source(comparison)} p is of a paired randomisation test, corrected "
        "for the number of metrics; detectable is the smallest difference that as many questions "
        "show four times in five."
    )


def _question_source(comparison: Comparison) -> str:
    questions = comparison.questions
    count = len(questions.qrels)
    if questions.is_proxy:
        return (
            f"{count} known items: questions in the rows' own words, a proxy that favours a "
            "lexical model."
        )
    unfindable = _name_unfindable(comparison)
    missing = (
        f" {questions.missing_rows} judged rows are no longer in the table."
        if questions.missing_rows
        else ""
    )
    return (
        f"{count} judged questions with a relevant row; {questions.unanswerable} more have none, "
        f"and count in no figure.{missing}{unfindable}"
    )


def _name_unfindable(comparison: Comparison) -> str:
    lost = comparison.unfindable
    if not lost:
        return ""
    named = "; ".join(f"“{comparison.questions.texts[question]}”" for question in lost[:NAMED])
    metric = trec.metric_names(comparison.k)[0]
    rest = comparison.change(metric).drop(list(lost))
    without = f" Without them {metric} changes by {rest.mean():+.3f}." if len(rest) else ""
    return (
        f" For {len(lost)} of them no relevant row has a new vector, so that no model could find "
        f"one ({named}{', …' if len(lost) > NAMED else ''}).{without}"
    )


def hybrid(found: Hybrid | None) -> None:
    """Whether vectors and full text together find more than either; nothing where that is not
    known."""
    if found is None:
        return
    new = found.new
    is_gain = new.gain.low > 0
    beats = (
        "beats both models" if is_gain and new.fused > found.old.alone else "is not shown to help"
    )
    text = (
        f"Vectors and PostgreSQL's full text, fused by reciprocal rank, would reach "
        f"{found.metric} {new.fused:.3f} with the new model, against {new.alone:.3f} by its "
        f"vectors and {found.old.alone:.3f} by the old one's: {new.gain.mean:+.3f} "
        f"({new.gain.bounds(signed=True)}), by a weight that other questions chose. Fusion "
        f"{beats}. The new model wants a text weight of {new.weight:g}, the old one "
        f"{found.old.weight:g}."
    )
    if found.app_weight:
        text += (
            f" Your app uses {found.app_weight:g}, with which the new model reaches "
            f"{found.at_app_weight:.3f}."
        )
    note(text)


def left_out(evidence: Evidence) -> None:
    """Which slices are not made, and why; nothing when all are."""
    if evidence.left_out:
        note(" ".join(f"{sentence}." for sentence in evidence.left_out))


def shadow(summary: ShadowSummary | None) -> None:
    """How both models answered the live questions."""
    if summary is None:
        return note("No shadow log is given: set evaluation.shadow_log.")
    text = (
        f"{summary.requests:,} live questions were asked of both models, {summary.errors} failed "
        f"in the shadow, {summary.dropped} more were dropped because it was busy."
    )
    if summary.overlap:
        text += (
            f" Both show {summary.overlap.mean:.0%} ({summary.overlap.bounds(2)}) of the same "
            f"rows; p95 {summary.p95_ms:.0f} ms, in the shadow {summary.shadow_p95_ms:.0f} ms."
        )
    if summary.commonest_error:
        text += f" The commonest error: {summary.commonest_error}"
    return note(text)


def losses(comparison: Comparison | None, limit: int = 5, depth: int = 3) -> None:
    """The `limit` questions that lose most, with the first `depth` rows of both models side by
    side. Shows nothing without judgements."""
    if comparison is None or not comparison.questions.qrels:
        return
    metric = trec.metric_names(comparison.k)[0]
    change = comparison.change(metric)
    worst = change[change < 0].head(limit)
    if worst.empty:
        note("no judged question loses")
    for question, loss in zip(worst.index.astype(str), worst.to_list(), strict=True):
        text = comparison.questions.texts[question]
        columns = "".join(
            _ranked_rows(comparison, run, question, depth)
            for run in (comparison.old, comparison.new)
        )
        figure = f"<span style='margin-left:8px;color:{LOSS}'>{metric} {loss:+.3f}</span>"
        title = f"<b>{html.escape(text)}</b> {figure}"
        body = f"{title}<table style='width:100%;table-layout:fixed'><tr>{columns}</tr></table>"
        show_html(body, f"{text}: {metric} {loss:+.3f}")


def _ranked_rows(comparison: Comparison, run: RetrievalRun, question: str, depth: int) -> str:
    grades = comparison.questions.qrels[question]
    items = "".join(
        f"<li><b>{html.escape(comparison.labels.get(row, f'{row}, deleted since'))}</b> "
        f"<span style='color:#666'>grade {grades.get(row, 'not judged')}</span><br>"
        f"{html.escape(comparison.texts.get(row, '')[:EXCERPT_CHARACTERS])}</li>"
        for row in run.rankings[question][:depth]
    )
    return (
        "<td style='vertical-align:top;text-align:left;white-space:normal;overflow-wrap:anywhere'>"
        f"<small>{html.escape(run.model)}</small><ol style='padding-left:18px'>{items}</ol></td>"
    )

from dataclasses import replace

from ragkit.evaluation.label_free.shadow_log import ShadowSummary
from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.report import tables
from tests.evaluation.example_evidence import NEIGHBOURHOODS, make_evidence


def test_the_gate_table_has_the_verdict_on_top(shown, verdict):
    html, text = shown(tables.verdict, verdict)
    words = ["NO-GO", "passed", "failed", "undecided"]
    assert all(word in html for word in words)
    assert [html.index(word) for word in words] == sorted(html.index(word) for word in words)
    assert [text.index(word) for word in words] == sorted(text.index(word) for word in words)


def test_the_figures_of_both_models_are_side_by_side(shown, comparison):
    html, text = shown(tables.figures, make_evidence(comparison))
    assert "old-model" in html
    assert all(figure in html for figure in ("0.500", "0.315", "-0.185"))  # nDCG by hand
    assert html.count("<table") == 1
    assert "2 judged questions" in text
    assert "Over 3 questions both models share" in text
    assert "the very first is another for 100%" in text
    assert "No questions were asked" in shown(tables.figures, make_evidence())[1]


def test_an_overlap_over_few_rows_says_what_is_by_necessity(shown, comparison):
    evidence = make_evidence(comparison, neighbourhoods=replace(NEIGHBOURHOODS, rows=9))
    _, text = shown(tables.figures, evidence)
    assert "any two lists of 10 of so few rows share at least 90%" in text


def test_slices_that_are_not_made_are_named(shown):
    left_out = ["No slices by language: it is unclear for 181 of 280 judged questions"]
    assert shown(tables.left_out, make_evidence(left_out=left_out))[1] == f"{left_out[0]}."
    assert shown(tables.left_out, make_evidence()) == ("", "")


def test_the_figures_tell_what_the_questions_are(shown, comparison):
    known_items = replace(comparison.questions, is_proxy=True)
    proxy = replace(comparison, questions=known_items)
    assert "2 known items" in shown(tables.figures, make_evidence(proxy))[1]
    incomplete = replace(comparison.questions, missing_rows=4)
    comparison = replace(comparison, questions=incomplete, duplicates=2)
    _, text = shown(tables.figures, make_evidence(comparison))
    assert "1 more have none, and count in no figure. 4 judged rows are no longer" in text
    assert "2 of the rows share their text with another" in text


def test_the_largest_losses_have_both_lists(shown, comparison):
    html, text = shown(tables.losses, comparison)
    assert text.count("nDCG@10 -1.000") == 1
    assert "tea &lt;b&gt;" in html
    assert "&lt;i&gt;text&lt;/i&gt; 0" in html
    assert "grade 3" in html
    assert shown(tables.losses, None) == ("", "")


def test_the_shadow_is_told_in_words(shown):
    summary = ShadowSummary(
        requests=100,
        errors=2,
        dropped=3,
        overlap=Interval(0.5, 0.4, 0.6),
        p95_ms=10.0,
        shadow_p95_ms=20.0,
        commonest_error="ModelBusy: later",
    )
    _, text = shown(tables.shadow, summary)
    assert "100 live questions were asked of both models, 2 failed in the shadow, 3 more" in text
    assert "50% (0.40 to 0.60) of the same rows; p95 10 ms, in the shadow 20 ms" in text
    assert "The commonest error: ModelBusy: later" in text
    assert "No shadow log is given" in shown(tables.shadow, None)[1]

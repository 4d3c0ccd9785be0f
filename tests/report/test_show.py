from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from IPython.utils.capture import capture_output

from ragkit.deploy.canary.decision import ON, WAIT, CanaryLook, Standing
from ragkit.errors import GateError
from ragkit.migration.backfill.progress import Progress
from ragkit.migration.schema.index import BuildProgress, IndexState
from ragkit.migration.status import Status
from ragkit.migration.verdict import Gate
from ragkit.report import charts, show


def steps() -> Iterator[Progress]:
    for done in range(101):
        yield Progress(done, 100, 5.0, done / 5)


def test_the_status_card_shows_rows_app_and_next_step(shown):
    status = Status(
        migration="public.t: a -> b",
        database="shop at db.example.com",
        phase="expanded",
        done=12_400,
        total=50_000,
        empty=3,
        dead_letters=0,
        old_missing=2,
        old_kept_by="the bridge",
        triggers="x is disabled",
        queue="12 keys, the oldest for 90 s",
        serving=None,
        canary="5 % of the traffic waits, 312 answers",
        next_step="go on <b>",
        control="paused (by ana:4711, 14:03 UTC)",
    )
    html, text = shown(show.card, status)
    assert "database: shop at db.example.com · phase: expanded" in text
    assert "12,400 of 50,000 (3 without text)" in text
    assert "queue: 12 keys, the oldest for 90 s" in text
    assert "canary: 5 % of the traffic waits, 312 answers" in text
    assert "control: paused (by ana:4711, 14:03 UTC)" in text
    assert "dead letters" not in text
    assert "without an old vector: 2 rows" in text
    assert "old column kept by: the bridge" in text
    assert "triggers: x is disabled" in text
    assert "the app does not answer" in text
    assert "go on &lt;b&gt;" in html


def test_the_status_card_shows_dead_letters(shown):
    status = Status(
        migration="public.t: a -> b",
        database="shop at db.example.com",
        phase="backfilled",
        done=9_998,
        total=10_000,
        empty=0,
        dead_letters=2,
        old_missing=None,
        old_kept_by=None,
        triggers="in place",
        queue="empty",
        serving="old-model",
        canary=None,
        next_step="compare",
    )
    _, text = shown(show.card, status)
    assert "9,998 of 10,000 (dead letters: 2)" in text
    assert "without an old vector" not in text
    assert "kept by" not in text
    assert "triggers" not in text


def test_a_backfill_is_one_output_and_a_line_each_tenth():
    with capture_output() as captured:
        show.progress(steps())
    assert sum(not output.update for output in captured.outputs) == 1
    lines = captured.stdout.splitlines()
    assert lines[0] == "starting from 0 of 100"
    assert lines[-1] == "100 of 100 rows (100%), 5 rows/s, in 20 s"
    assert len(lines) == 12
    assert "50 of 100 rows (50%), 5 rows/s, 10 s to go" in lines


def test_an_interrupt_closes_the_backfill(monkeypatch):
    """A suspended generator would hold its database locks until it is collected."""
    is_closed = False

    def backfill() -> Iterator[Progress]:
        nonlocal is_closed
        try:
            yield from steps()
        finally:
            is_closed = True

    def interrupt(step: Progress) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(show, "_bar", interrupt)
    suspended = backfill()
    with pytest.raises(KeyboardInterrupt):
        show.progress(suspended)
    assert is_closed


def test_an_index_build_is_a_line_for_each_step(shown):
    _, text = shown(show.building, BuildProgress("building index: loading tuples", 1_000, 20_000))
    assert text == "building index: loading tuples 1,000 of 20,000\n"
    _, text = shown(show.building, BuildProgress("waiting for writers before build", 0, 0))
    assert text == "waiting for writers before build\n"


def test_records_and_tables_have_readable_values(shown):
    html, text = shown(show.record, IndexState("i", True, False, 524_288))
    for form in (html, text):
        assert all(word in form for word in ("exists", "yes", "no", "524.3 kB"))
    html, text = shown(show.table, [Gate("g", "1 < 2", "2", True)])
    assert "observed" in html
    assert "1 &lt; 2" in html
    assert "1 < 2" in text
    assert "none" in shown(show.table, [])[1]


def test_a_wide_table_scrolls_in_its_own_box(shown):
    @dataclass
    class Wide:
        description: str

    html, _ = shown(show.table, [Wide("word " * 100)])
    assert "<div style='overflow-x:auto;max-width:100%'>" in html
    assert "white-space: normal" in html


def test_a_chart_is_a_picture_with_its_title_as_alternative_text(shown, comparison):
    html, text = shown(show.chart, charts.latency_cdf, comparison)
    title = "Half of the questions have their rows within 1.0 ms with the old model, and within "
    assert f'<img alt="{title}1.0 ms with the new one." src="data:image/png' in html
    assert "max-width:100%" in html
    assert title in text


def test_a_sentence_stands_in_the_place_of_a_chart(shown):
    html, text = shown(show.chart, lambda number: f"{number} < 2, whatever happens.", 1)
    assert text == "1 < 2, whatever happens."
    assert "1 &lt; 2" in html
    assert "<img" not in html


def test_there_is_no_chart_without_data(shown):
    assert shown(show.chart, charts.latency_cdf, None) == ("", "")
    assert shown(show.chart, lambda _: None, 1) == ("", "")


def test_an_error_is_one_line_in_a_notebook():
    assert GateError("NO-GO: a")._render_traceback_() == ["GateError: NO-GO: a"]


def test_a_canary_is_one_table_that_is_updated_and_a_line_where_a_decision_changes():
    standing = Standing("errors", 0.01, -0.004, 0.03, 0.02, 312, WAIT, 200)
    waits = CanaryLook(5, 312, (standing,), WAIT, "PERMISSION_DENIED <b>")
    with capture_output() as captured:
        follow = show.canary()
        for look in (waits, waits, replace(waits, share=50), replace(waits, decision=ON)):
            follow(look)
    first, *updates = captured.outputs
    assert len(updates) == 3
    assert "+1.0 points (-0.4 to +3.0), waits" in first.data["text/html"]
    assert "PERMISSION_DENIED &lt;b&gt;" in first.data["text/html"]
    lines = captured.stdout.splitlines()
    assert [line.partition(",")[0] for line in lines] == [
        "canary: 5 % of the traffic waits", "canary: 50 % of the traffic waits",
        "canary: 5 % of the traffic goes on",
    ]  # fmt: skip
    assert "about 200 more comparisons; errors +1.0 points" in lines[0]

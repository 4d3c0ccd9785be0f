"""The page of `ragkit judge` by keys and clicks, narrow and wide, light and dark."""

import json
import re
from contextlib import ExitStack

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from ragkit.errors import ModelUnavailable
from ragkit.evaluation.judging.record.standing import read_judgements
from ragkit.runbook.judging.page import serving
from tests.browser.conftest import NARROW, WIDE, picture
from tests.conftest import TEXTS
from tests.evaluation.judging.conftest import NEW_ROWS, OLD_ROWS, bench  # noqa: F401 (fixture)


@pytest.fixture
def shown(bench, tab):  # noqa: F811
    """Opens the page of a session; `address` may be opened again."""
    with ExitStack() as stack:

        def show(size=WIDE, scheme="light", **session):
            address = stack.enter_context(serving(bench.session(**session).handle))
            page = tab(address, size, scheme)
            page.wait_for_selector(".judge:not([aria-busy]) .judge-counts:not(:empty)")
            page.address = address
            return page

        yield show


def press(page, *keys):
    """Each key when the answer to the one before is there."""
    for key in keys:
        before = page.locator(".judge").text_content()
        page.keyboard.press(key)
        expect(page.locator(".judge")).not_to_have_text(before)
        page.wait_for_selector(".judge:not([aria-busy])")


def judged(page) -> int:
    return int(re.search(r"(\d+) judged", page.inner_text(".judge-counts"))[1])


def test_one_key_a_judgement(shown, bench, migration):  # noqa: F811
    page = shown()
    press(page, "ArrowLeft", "ArrowRight", "e", "n")
    assert judged(page) == 4
    kept = read_judgements(bench.folder, migration).preferences
    assert [p.answer for p in kept] == ["left", "right", "equal", "neither"]
    press(page, "u")
    assert judged(page) == 3
    assert len(read_judgements(bench.folder, migration).preferences) == 3


def test_clicks_do_the_same_and_the_focus_stays(shown, bench, migration):  # noqa: F811
    page = shown()
    page.get_by_role("button", name="Equal").click()
    expect(page.locator(".judge-counts")).to_contain_text("1 judged")
    press(page, "Enter")  # the button has the focus still
    kept = read_judgements(bench.folder, migration).preferences
    assert [p.answer for p in kept] == ["equal", "equal"]


def test_rows_one_by_one(shown, bench, migration):  # noqa: F811
    page = shown(pooled=True)
    assert "1 of 5" in page.inner_text(".judge-place")
    press(page, *"rnnrn")
    assert "1 of 5" in page.inner_text(".judge-place")
    (grades,) = read_judgements(bench.folder, migration).qrels.values()
    assert sorted(grades.values()) == [0, 0, 0, 1, 1]
    picture(page, "rows")


def test_a_key_that_is_held_down_answers_once(shown):
    page = shown(questions=40)
    page.keyboard.down("e")
    for _ in range(20):
        page.keyboard.down("e")  # as a keyboard repeats it
    page.keyboard.up("e")
    expect(page.locator(".judge-counts")).to_contain_text("1 judged")
    page.wait_for_timeout(300)
    assert judged(page) == 1


def test_keys_of_the_browser_are_left_alone(shown):
    page = shown()
    page.keyboard.press("Control+ArrowLeft")
    page.keyboard.press("Tab")
    page.keyboard.press("x")
    page.wait_for_timeout(300)
    assert judged(page) == 0


def test_the_page_does_not_tell_which_is_which(shown):
    page = shown(questions=6)
    for _ in range(5):
        lists = page.inner_html(".judge-lists") + page.inner_html(".judge-answers")
        assert not re.search("new|old|embedding", lists)
        press(page, "ArrowLeft")


def test_the_interval_is_drawn_after_each_judgement(shown, bench):  # noqa: F811
    """A judge who always finds the new model's list better."""
    page = shown(questions=60)
    best = TEXTS[int(NEW_ROWS[0]) - 1].partition(" ")[0]
    widths = []
    while page.locator(".judge-outlook.judge-yes").count() == 0:
        left = page.locator(".judge-side").first.locator(".judge-label").first.inner_text()
        press(page, "ArrowLeft" if left.startswith(best) else "ArrowRight")
        if page.locator(".judge-range").count():
            widths.append(page.locator(".judge-range").bounding_box()["width"])
    assert widths[-1] < widths[0]
    limit, low = (page.locator(f".judge-{part}").bounding_box()["x"] for part in ("limit", "range"))
    assert low >= limit - 1
    assert page.inner_text(".judge-outlook").endswith("You may stop")
    assert page.locator("[role=img]").get_attribute("aria-label").startswith("Net preference")
    picture(page, "decided")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("size", "name"), [(WIDE, "wide"), (NARROW, "narrow")])
def test_it_fits_and_can_be_read(shown, migration, amenities, size, name, scheme):
    """With a text that has no space to break at, and a long one."""
    with migration.engine.begin() as connection:
        long = {"1": "x" * 900, "4": "A sentence of some words. " * 60}
        for key, text in long.items():
            change = sa.update(amenities).where(amenities.c.id == int(key))
            connection.execute(change.values(content=text))
    page = shown(size, scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    first, second = (box.bounding_box() for box in page.locator(".judge-side").all())
    assert (first["y"] == second["y"]) == (size == WIDE)
    for button in page.locator(".judge-answers button").all():
        box = button.bounding_box()
        assert box["height"] >= 44
        assert box["y"] + box["height"] <= size[1]  # without scrolling
    assert contrast(page, ".judge-question") > 7
    assert contrast(page, ".judge-common .judge-text") > 4.5
    assert contrast(page, ".judge-outlook") > 4.5
    shorter = page.evaluate("document.body.scrollHeight")
    page.keyboard.press("t")
    assert page.evaluate("document.body.scrollHeight") > shorter
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("t")
    picture(page, f"{name}-{scheme}")


def contrast(page, selector: str) -> float:
    """As WCAG 2 defines it, of a text on the nearest background behind it."""
    colours = page.locator(selector).first.evaluate(
        """element => {
          const rgb = text => {
            const context = new OffscreenCanvas(1, 1).getContext("2d");
            context.fillStyle = text;
            context.fillRect(0, 0, 1, 1);
            return [...context.getImageData(0, 0, 1, 1).data];
          };
          let behind = element;
          while (behind && rgb(getComputedStyle(behind).backgroundColor)[3] < 255)
            behind = behind.parentElement;
          return [rgb(getComputedStyle(element).color),
                  rgb(getComputedStyle(behind || document.body).backgroundColor)];
        }"""
    )
    light, dark = sorted((_luminance(colour) for colour in colours), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: list[int]) -> float:
    parts = [c / 255 for c in colour[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_everything_is_reached_by_tab_and_its_focus_is_seen(shown):
    page, names = shown(), []
    for _ in range(8):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.innerText"))
        if page.evaluate("document.activeElement.matches('.judge *')"):
            assert page.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"
    wanted = ("Left is better", "Equal", "Neither", "Right is better", "Whole texts", "Add")
    assert [any(n.startswith(name) for n in names) for name in wanted] == [True] * len(wanted)


def test_a_text_that_looks_like_html_is_a_text(shown, migration, amenities):
    hostile = "<img src=x onerror=alert(1)><b>bold</b>"
    with migration.engine.begin() as connection:
        connection.execute(sa.update(amenities).values(content=hostile, name=hostile))
    page = shown(pooled=True)
    assert page.locator(".judge-row .judge-text").inner_text() == hostile
    assert page.locator(".judge-row .judge-label").inner_text() == hostile
    assert page.locator(".judge-row img").count() == 0


def test_questions_are_typed_in_and_no_key_of_theirs_judges(shown, bench, migration):  # noqa: F811
    page = shown(questions=0)
    assert "Type in what your users ask" in page.inner_text(".judge-question")
    page.locator("textarea").fill("")
    page.locator("textarea").press_sequentially("one beer\nwhere are the trains")
    picture(page, "typed")
    page.get_by_role("button", name="Add", exact=True).click()
    page.wait_for_selector(".judge-answers button")
    assert page.inner_text(".judge-question") in ("one beer", "where are the trains")
    assert judged(page) == 0
    page.evaluate("document.querySelector('.judge').focus()")
    press(page, "n", "n")
    assert "Every question is judged" in page.inner_text(".judge-question")
    assert len(read_judgements(bench.folder, migration).preferences) == 2


def test_a_command_that_was_stopped_is_told_and_nothing_is_lost(bench, tab):  # noqa: F811
    with serving(bench.session().handle) as address:
        page = tab(address)
        page.wait_for_selector(".judge-answers button")
        press(page, "e", "e")
    page.keyboard.press("e")
    expect(page.locator(".judge-error")).not_to_be_empty()
    assert "Start it again: nothing is lost" in page.inner_text(".judge-error")
    assert page.locator("[role=alert]").count() == 1
    assert all("Failed to load" in fault or "ERR_CONNECTION" in fault for fault in tab.faults)
    tab.faults.clear()
    with serving(bench.session().handle) as address:
        again = tab(address)
        again.wait_for_selector(".judge-answers button")
        assert judged(again) == 2


def test_an_error_of_a_model_is_told_and_tried_again(bench, tab):  # noqa: F811
    failures = [ModelUnavailable("the quota is used up")]

    def old(question):
        if failures:
            raise failures.pop()
        return OLD_ROWS

    with serving(bench.session(old=old).handle) as address:
        page = tab(address)
        page.wait_for_selector(".judge-error:not(:empty)")
        assert page.inner_text(".judge-error").startswith("the quota is used up")
        page.get_by_role("button", name="Try again").click()
        page.wait_for_selector(".judge-answers button")
        assert page.inner_text(".judge-error") == ""


def test_two_people_at_once(bench, tab, migration):  # noqa: F811
    with (
        serving(bench.session("ana", 40).handle) as first,
        serving(bench.session("bo", 40).handle) as second,
    ):
        pages = [tab(first), tab(second)]
        for page in pages:
            page.wait_for_selector(".judge-answers button")
        for _ in range(6):
            for page, key in zip(pages, ("ArrowLeft", "e"), strict=True):
                press(page, key)
    answers = read_judgements(bench.folder, migration).answers
    assert sorted(a.judge for a in answers) == ["ana"] * 6 + ["bo"] * 6
    files = list(bench.folder.glob("*.judge.jsonl"))
    assert sorted(len(file.read_text().splitlines()) for file in files) == [6, 6]
    assert all(json.loads(line) for file in files for line in file.read_text().splitlines())

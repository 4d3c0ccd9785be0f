"""A real Chromium without a window. PICTURES names a folder for pictures of what is shown."""

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
           "--no-first-run"]  # fmt: skip
WIDE, NARROW = (1400, 900), (420, 860)


@pytest.fixture(scope="session")
def browser() -> Browser:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.fail(f"no browser: none of {', '.join(NAMES)} is on the PATH; on Debian: "
                    "apt-get install chromium", pytrace=False)  # fmt: skip
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def tab(browser):
    """Opens an address in a tab of its own. Errors of the page fail the test; so does a request
    to anywhere but this machine."""
    contexts, faults = [], []

    def open_tab(address: str, size=WIDE, scheme="light", **waits) -> Page:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(waits.get("timeout", 10_000))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda m: m.type == "error" and faults.append(m.text))
        page.on("request", lambda r: _is_here(r.url) or faults.append(f"asked {r.url}"))
        page.goto(address)
        return page

    open_tab.faults = faults
    yield open_tab
    for context in contexts:
        context.close()
    assert faults == []


def _is_here(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "http://localhost:", "data:", "blob:"))


def picture(page: Page, name: str) -> None:
    """For people to look at."""
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

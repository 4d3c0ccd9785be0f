"""The judging cell in a real JupyterLab: run the notebook, press keys, see the file."""

import os
import re
import secrets
import shutil
import signal
import subprocess
import time

import httpx
import pytest
import yaml
from playwright.sync_api import expect

from ragkit.evaluation.judging.record.standing import read_judgements
from tests.browser.conftest import NARROW, picture
from tests.conftest import PYTHON, ROOT, environment, free_port
from tests.runbook.judging.conftest import open_runbook, runbook_of  # noqa: F401 (fixtures)

NOTEBOOK = "03b_judge.ipynb"


@pytest.fixture
def lab(open_runbook, tmp_path):  # noqa: F811
    """The address of the notebook in a server of its own."""
    home, folder = tmp_path / "home", tmp_path / "notebooks"
    folder.mkdir()
    shutil.copy(ROOT / "notebooks" / NOTEBOOK, folder)
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump(open_runbook().plan.model_dump(by_alias=True)))
    port, token = free_port(), secrets.token_hex(8)
    process = subprocess.Popen(
        [PYTHON, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
         f"--ServerApp.port={port}", f"--IdentityProvider.token={token}",
         f"--ServerApp.root_dir={folder}",
         "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"],
        env=environment(
            HOME=str(home), JUPYTER_CONFIG_DIR=str(home), JUPYTER_DATA_DIR=str(home),
            JUPYTER_RUNTIME_DIR=str(home), RAGKIT_PARAMS=str(params),
            DATABASE_URL=os.environ["DATABASE_URL"],
        ),
        stdout=subprocess.DEVNULL, stderr=(tmp_path / "lab.log").open("w"), start_new_session=True,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/api/status?token={token}")
        yield f"{address}/lab/tree/{NOTEBOOK}?token={token}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=20)


def _wait_for(address: str, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return httpx.get(address, timeout=5).raise_for_status()
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def run_all(page) -> None:
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    page.wait_for_selector("text=Python 3")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_selector(".judge .judge-answers button")


def press(page, key: str) -> None:
    before = page.locator(".judge-counts").text_content()
    page.keyboard.press(key)
    expect(page.locator(".judge-counts")).not_to_have_text(before)


@pytest.mark.timeout(180)
def test_keys_judge_in_the_cell_and_do_nothing_to_the_notebook(
    lab, tab, filled, tmp_path,
):  # fmt: skip
    page = tab(lab, timeout=60_000)
    news = page.get_by_role("button", name="No", exact=True)
    page.add_locator_handler(page.get_by_text("official Jupyter news"), lambda _: news.click())
    run_all(page)
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    page.locator(".judge .judge-question").click()
    press(page, "ArrowLeft")
    press(page, "ArrowRight")
    page.keyboard.press("b")  # JupyterLab's key for a new cell, which is none here
    press(page, "e")
    press(page, "u")
    page.locator(".judge").scroll_into_view_if_needed()
    picture(page, "lab-wide")
    kept = read_judgements(tmp_path / "judgements", filled).preferences
    assert [p.answer for p in kept if p.asked] == ["left", "right"]
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert re.search("2 judged", page.inner_text(".judge .judge-counts"))
    page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    page.locator(".jp-SideBar [data-id=filebrowser]").click()  # closes it
    page.get_by_text("Which results would you rather get?").scroll_into_view_if_needed()
    first, second = (box.bounding_box() for box in page.locator(".judge-side").all())
    assert first["y"] < second["y"]
    picture(page, "lab-narrow")
    assert [fault for fault in tab.faults if "404" not in fault] == []  # JupyterLab asks for a file
    tab.faults.clear()

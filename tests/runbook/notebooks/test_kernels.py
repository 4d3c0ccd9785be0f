"""Kernels of two runs that go on beside one another, and where a kernel's own words go."""

import subprocess

import nbformat
import pytest

from tests.conftest import PYTHON, ROOT, environment

EXECUTE = """
import sys, pathlib, papermill
from ragkit.runbook.notebooks.kernels import private_kernel
for _ in range(int(sys.argv[4])):
    with private_kernel(pathlib.Path(sys.argv[3])) as config:
        papermill.execute_notebook(
            sys.argv[1], sys.argv[2], kernel_name="python3", progress_bar=False, config=config
        )
"""


@pytest.fixture
def notebook(tmp_path):
    cell = nbformat.v4.new_code_cell(
        "import os, sys, time\ntime.sleep(0.5)\nprint('whole')\n"
        "print('own', 'words', file=sys.__stderr__, flush=True)"
    )
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "a.ipynb")
    return tmp_path / "a.ipynb"


def start(notebook, output, log, times):
    return subprocess.Popen(
        [PYTHON, "-c", EXECUTE, notebook, output, log, str(times)], env=environment(), cwd=ROOT,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_runs_beside_one_another_do_not_meet(notebook, tmp_path):
    outputs = [tmp_path / f"out {n}.ipynb" for n in range(3)]
    runs = [start(notebook, output, tmp_path / "kernels.log", 3) for output in outputs]
    assert [run.wait(90) for run in runs] == [0, 0, 0]
    for output in outputs:
        (cell,) = nbformat.read(output, as_version=4).cells
        assert cell.outputs[0].text == "whole\n"


def test_what_a_kernel_prints_itself_goes_to_the_log_and_not_to_the_terminal(notebook, tmp_path):
    log = tmp_path / "kernels.log"
    run = start(notebook, tmp_path / "out.ipynb", log, 1)
    _, printed = run.communicate(timeout=90)
    assert "own words" not in printed
    assert log.read_text().count("own words") == 1

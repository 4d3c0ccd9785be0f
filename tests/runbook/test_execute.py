"""Kernels of two runs that go on beside one another."""

import subprocess

import nbformat

from tests.conftest import PYTHON, ROOT, environment

EXECUTE = """
import sys, papermill
from ragkit.runbook.execute import private_kernel
for _ in range(3):
    with private_kernel() as config:
        papermill.execute_notebook(
            sys.argv[1], sys.argv[2], kernel_name="python3", progress_bar=False, config=config
        )
"""


def test_runs_beside_one_another_do_not_meet(tmp_path):
    cell = nbformat.v4.new_code_cell("import time; time.sleep(0.5); print('whole')")
    notebook = tmp_path / "a.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), notebook)
    outputs = [tmp_path / f"out {n}.ipynb" for n in range(3)]
    runs = [
        subprocess.Popen([PYTHON, "-c", EXECUTE, notebook, output], env=environment(), cwd=ROOT)
        for output in outputs
    ]
    assert [run.wait(90) for run in runs] == [0, 0, 0]
    for output in outputs:
        (cell,) = nbformat.read(output, as_version=4).cells
        assert cell.outputs[0].text == "whole\n"

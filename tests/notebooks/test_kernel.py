"""Notebooks as a person uses them: Run All twice in one kernel, the stop button, typing errors."""

import json
import os
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager

from ragkit.runbook.interrupt import MESSAGE
from ragkit.runbook.notebooks.kernels import private_kernel
from ragkit.runbook.notebooks.run import NOTEBOOKS
from tests.conftest import PYTHON, ROOT, environment, few_questions, free_port

QUICK = ["new.model=wordllama-64", "new.column=embedding_64",
         "gates.override=one model at two dimensions"]  # fmt: skip
IN_ORDER = ["00_sandbox", "01_inspect", "rescue", "02_backfill", "03_compare", "03b_judge",
            "04_cutover",
            "90_rollback", "05_retire"]  # fmt: skip


@pytest.fixture(scope="module")
def sandbox_env(tmp_path_factory):
    home = tmp_path_factory.mktemp("a kernel") / "home"
    env = environment(RAGKIT_SANDBOX=str(home), RAGKIT_PORT=str(free_port()))
    yield env
    subprocess.run([PYTHON, "-m", "ragkit", "sandbox", "remove"], env=env, check=True, cwd=ROOT)


class Kernel:
    """A kernel as JupyterLab starts it: in the notebooks' folder."""

    def __init__(self, manager):
        self.manager, self.client = manager, manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def execute(self, source, watch=lambda text: None):
        """(status, text output, traceback lines); `watch` sees the text as it comes."""
        texts, traceback = [], []

        def hook(message):
            content = message["content"]
            if message["msg_type"] == "stream":
                texts.append(content["text"])
                watch(content["text"])
            elif message["msg_type"] in ("display_data", "update_display_data"):
                texts.append(content["data"].get("text/plain", ""))
            elif message["msg_type"] == "error":
                traceback.extend(content["traceback"])

        reply = self.client.execute_interactive(source, output_hook=hook, timeout=120)
        return reply["content"]["status"], "\n".join(texts), traceback

    def run_all(self, name, **parameters):
        """Each code cell in order, until one fails; parameters follow theirs, as papermill's do."""
        results = []
        for number, source in enumerate(cells(name)):
            results.append((source, *self.execute(source)))
            if number == 0 and parameters:
                assigned = "\n".join(f"{key} = {value!r}" for key, value in parameters.items())
                results.append((assigned, *self.execute(assigned)))
            if results[-1][1] != "ok":
                break
        return results


def cells(name):
    document = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text())
    return ["".join(c["source"]) for c in document["cells"] if c["cell_type"] == "code"]


@contextmanager
def kernel(env):
    with private_kernel(Path(os.devnull)) as config:
        manager = KernelManager(config=config, kernel_name="python3")
        manager.start_kernel(env=env, cwd=str(NOTEBOOKS))
        try:
            yield Kernel(manager)
        finally:
            manager.shutdown_kernel(now=True)


def failures(results):
    return [(source, traceback) for source, status, _, traceback in results if status != "ok"]


@pytest.mark.timeout(240)
def test_run_all_twice_in_one_kernel_works_in_every_notebook(sandbox_env, tmp_path):
    judged = f"judging.folder={tmp_path / 'judgements'}"
    quick = [*QUICK, *few_questions(tmp_path), "rescue.anyway=true", judged]
    for name in IN_ORDER:
        with kernel(sandbox_env) as running:
            first, second = running.run_all(name, set=quick), running.run_all(name, set=quick)
        assert failures(first) == [], name
        assert failures(second) == [], name
        assert len(first) == len(second) == len(cells(name)) + 1


class TestAfterASandbox:
    """A slow model, into a column of its own."""

    OWN = (
        "new.model=tests.stand_ins.slow:Slow", "new.column=embedding_slow",
        "backfill.in_flight=1", "backfill.batch_size=16",
    )  # fmt: skip

    @pytest.fixture(autouse=True)
    def up(self, sandbox_env):
        subprocess.run(
            [PYTHON, "-m", "ragkit", "sandbox", "up"], env=sandbox_env, check=True, cwd=ROOT
        )

    def test_the_stop_button_shows_one_line_and_run_all_continues(self, sandbox_env):
        with kernel(sandbox_env) as running:
            parameters, runbook, expand, fill, *_ = cells("02_backfill")
            changed = f"set = {list(self.OWN)!r}"
            for source in (parameters, changed, runbook, expand):
                assert running.execute(source)[0] == "ok", source

            def stop(text):
                if "starting from 0" in text:
                    time.sleep(1.5)
                    running.manager.interrupt_kernel()

            status, text, traceback = running.execute(fill, stop)
            assert "starting from 0 of 260" in text
            assert (status, traceback) == ("error", [MESSAGE])
            again = running.run_all("02_backfill", set=list(self.OWN))
            assert failures(again) == []
            resumed = next(text for source, _, text, _ in again if source == fill)
            assert "starting from 0" not in resumed
            assert "260 of 260 rows" in resumed

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"retrie": True}, "unknown parameter 'retrie' (did you mean retire?)"),
            (
                {"set": "gates.margn=0.1"},
                "unknown field 'gates.margn' (did you mean gates.margin?)",
            ),
            ({"set": ["old.retire=maybe"]}, "old.retire: Input should be a valid boolean"),
            ({"retire": 1, "parms": ""}, "2 fault(s)"),
        ],
    )
    def test_a_wrong_parameter_is_one_line(self, sandbox_env, given, says):
        with kernel(sandbox_env) as running:
            ((_, traceback),) = failures(running.run_all("05_retire", **given))
        assert len(traceback) == 1
        assert says in traceback[0]

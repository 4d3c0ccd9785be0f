"""`ragkit judge` as a process: its page, and Ctrl-C."""

import json
import os
import signal
import time

import httpx
import pytest
import yaml

from tests.conftest import environment, free_port
from tests.runbook.judging.conftest import open_runbook, runbook_of  # noqa: F401 (fixtures)
from tests.runbook.judging.page_process import start_judging


@pytest.fixture
def params(open_runbook, tmp_path):  # noqa: F811
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(open_runbook().plan.model_dump(by_alias=True)))
    return path


def judge(params, *options):
    return start_judging(params, environment(DATABASE_URL=os.environ["DATABASE_URL"]), *options)


def test_judge_then_ctrl_c(params, tmp_path):
    process, address, line = judge(params, "--judge", "bo")
    assert "judge here, as bo; stop with Ctrl-C" in line
    state = httpx.post(address, json={}).json()
    after = httpx.post(address, json={"answer": "left", "turn": state["turn"]}).json()
    assert after["judged"] == 1
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=10)
    assert process.returncode == 0, errors
    assert time.monotonic() - start < 3
    assert "Net preference for the new model" in output
    assert f"judgements: {tmp_path / 'judgements'}" in output
    assert "Traceback" not in output + errors
    (kept,) = [
        json.loads(text)
        for file in (tmp_path / "judgements").glob("*.judge.jsonl")
        for text in file.read_text().splitlines()
        if json.loads(text)["asked"]
    ]
    assert (kept["judge"], kept["answer"]) == ("bo", "left")


def test_rows_and_a_port_of_ones_own(params):
    port = free_port()
    process, address, _ = judge(params, "--pooled", "--port", str(port))
    assert f":{port}/" in address
    assert httpx.post(address, json={}).json()["mode"] == "row"
    process.terminate()
    assert process.wait(timeout=10) == 0
    process.communicate()

"""`ragkit judge` as a process: its page, and Ctrl-C."""

import json
import os
import signal
import subprocess
import threading
import time

import httpx
import pytest
import yaml

from tests.conftest import PYTHON, environment, free_port
from tests.runbook.judging.conftest import open_runbook, runbook_of  # noqa: F401 (fixtures)
from tests.runbook.judging.page_process import start_judging
from tests.stand_ins import chat


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


def test_with_json_the_results_are_one_document(params):
    process, address, _ = judge(params, "--json")
    httpx.post(address, json={})
    process.send_signal(signal.SIGINT)
    document = json.loads(process.communicate(timeout=10)[0])
    assert document["figure"] == "No question is judged yet"
    assert document["remarks"] == []
    assert process.returncode == 0


def test_rows_and_a_port_of_ones_own(params):
    port = free_port()
    process, address, _ = judge(params, "--pooled", "--port", str(port))
    assert f":{port}/" in address
    assert httpx.post(address, json={}).json()["mode"] == "row"
    process.terminate()
    assert process.wait(timeout=10) == 0
    process.communicate()


def start_labelling(params, service, *options, key=chat.KEY):
    env = environment(DATABASE_URL=os.environ["DATABASE_URL"], OPENAI_API_KEY=key)
    settings = ("judging.model=openai:judge-1", f"judging.model_url={service.address}")
    return subprocess.Popen(
        [PYTHON, "-m", "ragkit", "judge", "--params", params, "--model-labels", *options,
         *(part for setting in settings for part in ("--set", setting))],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def label(*arguments, **settings):
    process = start_labelling(*arguments, **settings)
    output, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def test_a_model_labels_and_is_asked_each_question_once(params, tmp_path):
    with chat.serving() as service:
        first = label(params, service, "--json", "--set", "judging.model_labels=3")
        assert first.returncode == 0, first.stderr
        assert json.loads(first.stdout)["labels"]["questions"] == 3
        second = label(params, service)
        assert second.returncode == 0, second.stderr
        assert "questions: 8" in second.stdout
        asked = [json.loads(body["messages"][1]["content"])["question"] for body in service.asked]
    assert 0 < len(asked) == len(set(asked)) <= 8
    (file,) = (tmp_path / "judgements").glob("openai-judge-1-*.judge.jsonl")
    kept = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(kept) == 8
    assert {line["kind"] for line in kept} == {"label"}


def test_a_wrong_key_is_one_line(params):
    with chat.serving() as service:
        failed = label(params, service, key="sk-wrong")
        assert failed.returncode == 1
        assert "status 401; the key is missing or wrong: set OPENAI_API_KEY" in failed.stderr
    assert "sk-wrong" not in failed.stdout + failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_run_that_is_killed_is_paid_once(params, tmp_path):
    third = threading.Event()

    def answer(data):
        if len(service.asked) == 3:
            third.set()
            time.sleep(2)
        return "left"

    with chat.serving(answer=answer) as service:
        process = start_labelling(params, service)
        assert third.wait(30)
        process.kill()
        process.communicate()
        assert label(params, service).returncode == 0
        asked = [json.loads(body["messages"][1]["content"])["question"] for body in service.asked]
    assert asked[2] == asked[3]  # was in flight
    assert len(set(asked)) == len(asked) - 1

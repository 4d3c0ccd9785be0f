"""ragkit init, in a terminal that asks and in a pipe that does not."""

import subprocess

import pexpect
import pytest

from ragkit.migration.plan import Plan
from tests.conftest import NEW, PYTHON, TEXTS, environment, make_plan, make_table


@pytest.fixture
def env(engine, monkeypatch):
    make_table(engine, make_plan(), TEXTS)
    return environment(DATABASE_URL=engine.url.render_as_string())


def piped(env, *arguments, code=0):
    done = subprocess.run(
        [PYTHON, "-m", "ragkit", "init", *map(str, arguments)], check=False, env=env,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_pipeline_is_told_the_option_that_is_missing(env):
    output = piped(env, code=1)
    assert output.startswith("ConfigError: --new-model is needed: which model is to serve?")
    assert len(output.splitlines()) == 1


def test_options_are_enough_for_a_pipeline(env, tmp_path):
    path = tmp_path / "mine.yaml"
    output = piped(env, "--new-model", NEW, "--output", path)
    assert f"params: {path}" in output
    plan = Plan.from_file(path)
    assert (plan.old.model, plan.table.content, plan.table.label) == (
        "wordllama-256", "content", "name",
    )  # fmt: skip
    assert "exists: name another file with --output" in piped(
        env, "--new-model", NEW, "--output", path, code=1
    )
    assert "params: " in piped(env, "--new-model", NEW, "--output", path, "--force")


def test_a_person_is_asked_two_things(env, tmp_path):
    path = tmp_path / "mine.yaml"
    child = pexpect.spawn(
        PYTHON, ["-m", "ragkit", "init", "--output", str(path)], env=env, timeout=60,
        encoding="utf-8", dimensions=(40, 200),
    )  # fmt: skip
    child.expect("which model is to serve")
    child.sendline(NEW)
    child.expect("the address of the app")
    child.sendline("https://shop.example.com")
    child.expect("next: python -m ragkit plan")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    plan = Plan.from_file(path)
    assert (plan.new.model, plan.app.url) == (NEW, "https://shop.example.com")

"""Wrong input is one line on stderr with the way out."""

import json
import subprocess

import pytest
import yaml

from tests.conftest import PYTHON, environment, make_plan

OWN = yaml.safe_dump(make_plan().model_dump(by_alias=True))


def ragkit(*arguments, **env):
    return subprocess.run(
        [PYTHON, "-m", "ragkit", *map(str, arguments)],
        env=environment(**env), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.fixture
def params(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text(OWN)
    return file


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["statu"], 2, ["'statu'", "Did you mean 'status'", "see python -m ragkit --help"]),
        (["sandbox", "dwn"], 2, ["Did you mean 'down'", "see python -m ragkit sandbox --help"]),
        (["status", "--jsn"], 2, ["No such option '--jsn'", "'--json'"]),
        (["status", "--params"], 2, ["'--params' requires an argument"]),
        (["status", "more"], 2, ["unexpected extra argument", "see python -m ragkit status"]),
        (["status", "--watch", "x"], 2, ["'x' is not a valid number of seconds"]),
        (["status", "--watch", "0"], 2, ["0.0 is not in the range x>=0.5"]),
        (["status", "--params", "no.yaml"], 1, ["there is no file no.yaml", "--params"]),
        (["status", "--params", "PARAMS", "--set", "gates.margn=1"], 1, ["gates.margin?"]),
        (["status", "--params", "PARAMS", "--set", "margin"], 1, ["section.field=value"]),
        (["status", "--params", "PARAMS", "--run-dir", "PARAMS"], 1, ["is a file; name a folder"]),
        (["status", "--params", "PARAMS", "--run-dir", "PARAMS/a"], 1, ["is a file"]),
    ],
)
def test_wrong_input_is_one_line(arguments, code, says, params):
    named = [argument.replace("PARAMS", str(params)) for argument in arguments]
    done = ragkit(*named)
    assert done.returncode == code
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert all(text in done.stderr for text in says), done.stderr
    as_json = ragkit(named[0], "--json", *named[1:])
    assert as_json.returncode == code
    assert len(as_json.stderr.splitlines()) == 1
    error = json.loads(as_json.stdout)["error"]
    assert error["type"]
    assert any(text in error["message"] for text in says)


def test_a_group_without_a_command_names_its_commands():
    done = ragkit("sandbox")
    assert done.returncode == 2
    says = "sandbox needs a command: up, down, remove; see python -m ragkit sandbox --help\n"
    assert (done.stdout, done.stderr) == ("", says)


def test_a_message_of_several_lines_is_one_line_without_control_characters(tmp_path):
    odd = tmp_path / "a\n\x1b[2Jb.yaml"
    said = ragkit("status", "--params", odd).stderr
    assert len(said.splitlines()) == 1
    assert "\x1b" not in said
